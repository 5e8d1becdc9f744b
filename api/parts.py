"""The parts of a long answer: asked for by one thread at a time, and closed however the answer ends."""

import threading
from collections.abc import Generator, Iterator


class Parts(Iterator[bytes]):
    """Wraps a generator that holds something: a place among the exports, open files.

    The framework leaves a generator that it gives up to the garbage collector, and takes a ValueError for
    its end: an answer that broke off would look whole.
    """

    def __init__(self, parts: Generator[bytes]) -> None:
        self._parts = parts
        self._lock = threading.Lock()

    def __next__(self) -> bytes:
        with self._lock:
            try:
                return next(self._parts)
            except ValueError as error:
                raise RuntimeError("a part of an answer could not be made") from error

    def close(self) -> None:
        """Let go what the generator holds, once no thread is in it."""
        with self._lock:
            self._parts.close()
