"""The suite runs without a network: every way out of the process is shut, and nothing tries one."""

import asyncio
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import immunopath

HERE = ("127.0.0.1", 9)


def _tcp() -> None:
    with socket.socket() as out:
        out.connect(HERE)


def _udp() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as out:
        out.sendto(b"x", HERE)


def _quietly() -> None:
    with socket.socket() as out:
        out.connect_ex(HERE)


def _page() -> None:
    urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)


def _loop() -> None:
    async def call() -> None:
        await asyncio.open_connection(*HERE)

    asyncio.run(call())


WAYS_OUT: dict[str, Callable[[], object]] = {
    "tcp": _tcp,
    "udp": _udp,
    "without an exception": _quietly,
    "helper": lambda: socket.create_connection(HERE, timeout=1),
    "page": _page,
    "event loop": _loop,
    "name": lambda: socket.getaddrinfo("localhost", 80),
    "old name": lambda: socket.gethostbyname("localhost"),
}


@pytest.mark.parametrize("way", sorted(WAYS_OUT))
def test_every_way_out_is_shut(way: str) -> None:
    with pytest.raises(AssertionError, match="network used"):
        WAYS_OUT[way]()


def test_an_analysis_needs_no_network(shared_images: Path) -> None:
    """The guard above would end it: engines, atlas and knowledge all come with the package."""
    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    report = immunopath.analyze(patch, mpp=0.5)
    assert report.status == "ok"
    assert {row.status for row in report.engines} <= {"ok", "skipped"}
    assert "http://" not in report.to_html().replace("http://www.w3.org", "")
