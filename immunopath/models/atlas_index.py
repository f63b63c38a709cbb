"""The FAISS index behind an atlas: flat and exact, or what a ``faiss.index_factory`` string makes.

FAISS is imported when an index is first needed. On macOS it runs on one thread: a second OpenMP
runtime (torch brings one) crashes the process otherwise.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import EngineUnavailable, InputError

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
FLAT: Final = "Flat"
RECALL_QUERIES: Final = 200
_PROBES: Final = 16
"""Lists of an inverted file that a query looks into."""
_DEPTH: Final = 128
"""How far a graph index looks around."""


def faiss_module() -> Any:  # noqa: ANN401 - its types differ between releases
    """Return the FAISS module, imported late; raises `EngineUnavailable` without it."""
    try:
        faiss = import_module("faiss")
    except ImportError as error:
        raise EngineUnavailable("retrieval needs the package faiss-cpu; install it") from error
    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    return faiss


class SearchIndex:
    """Finds rows of large inner product among unit rows, some of them excluded.

    `factory` None or ``Flat`` is exact. Any other string is built from the vectors on one thread,
    so that equal atlases find equal neighbours. Raises `InputError` for a string that FAISS does
    not know, cannot train on these vectors or cannot search with rows left out.
    """

    def __init__(self, vectors: F32, factory: str | None = None) -> None:
        self._faiss = faiss_module()
        self.exact = factory in (None, FLAT)
        if self.exact:
            self._index = self._faiss.IndexFlatIP(vectors.shape[1])
            self._index.add(vectors)
            return
        assert factory is not None
        try:
            with _one_thread(self._faiss):
                made = self._faiss.index_factory(
                    vectors.shape[1], factory, self._faiss.METRIC_INNER_PRODUCT
                )
                made.train(vectors)
                made.add(vectors)
            self._index = self._faiss.downcast_index(made)
            self._owner = made
            if 0 in self.among(np.arange(1, len(vectors), dtype=np.int64))(vectors[:1], 1):
                raise ValueError("it finds rows that were left out")
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            why = str(error).strip().rpartition("Error: ")[2] or type(error).__name__
            raise InputError(
                f"index {factory!r} cannot be built over {len(vectors)} vectors of "
                f"{vectors.shape[1]} ({why[:140]}); leave --index out for an exact search"
            ) from error

    def among(self, allowed: I64) -> Callable[[F32, int], I64]:
        """Return the search among some rows only, for as many queries as there are.

        It takes a query of shape (1, size) and a depth, and returns up to so many row numbers.
        """
        selector = self._faiss.IDSelectorBatch(allowed)

        def rows(query: F32, depth: int) -> I64:
            _, found = self._index.search(query, depth, params=self._parameters(selector, depth))
            return np.asarray(found[0][found[0] >= 0], np.int64)

        return rows

    def _parameters(self, selector: Any, depth: int) -> Any:  # noqa: ANN401
        faiss, index = self._faiss, self._index
        if isinstance(index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(sel=selector, nprobe=min(_PROBES, index.nlist))
        if isinstance(index, faiss.IndexHNSW):
            return faiss.SearchParametersHNSW(sel=selector, efSearch=max(_DEPTH, depth))
        return faiss.SearchParameters(sel=selector)


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:  # noqa: ANN401
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def recall(vectors: F32, factory: str, k: int = 8) -> tuple[float, int]:
    """Return the share of true `k` nearest rows that an index finds, and over how many queries.

    Queries are up to 200 of the atlas's own vectors, evenly spaced, each with itself left out.
    With fewer than two vectors there is nothing to find: (1.0, 0).
    """
    if len(vectors) < 2:
        return 1.0, 0
    exact, other = SearchIndex(vectors), SearchIndex(vectors, factory)
    every = np.arange(len(vectors), dtype=np.int64)
    chosen = np.unique(np.linspace(0, len(vectors) - 1, min(RECALL_QUERIES, len(vectors))).round())
    hits = wanted = 0
    for row in chosen.astype(np.int64):
        allowed = np.delete(every, row)
        depth = min(k, len(allowed))
        truth = exact.among(allowed)(vectors[row : row + 1], depth)
        found = other.among(allowed)(vectors[row : row + 1], depth)
        hits += len(np.intersect1d(truth, found))
        wanted += len(truth)
    return hits / wanted, len(chosen)
