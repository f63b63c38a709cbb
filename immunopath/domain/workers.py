"""Worker processes do not outlive the process that started them."""

import multiprocessing
import os
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent() -> None:
    """End this worker when its parent is gone, however that ended; nothing in a main process.

    An idle worker of a killed parent would wait for its next job for ever, with the engines in its
    memory, and a busy one would go on writing into a folder that it no longer holds.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, name="end-with-parent", daemon=True).start()
