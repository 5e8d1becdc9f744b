"""What a run makes of a batch, once: what was made ahead of its window's close is not made again after it."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Made:
    """Results by name, of one batch at a time: a batch with another digest has others."""

    def __init__(self) -> None:
        self._digest = ""
        self._results: dict[str, Any] = {}

    def once(self, name: str, digest: str, make: Callable[[], T]) -> T:
        """The result of ``make`` for a batch, made now unless it was before."""
        if digest != self._digest:
            self._digest, self._results = digest, {}
        if name not in self._results:
            self._results[name] = make()
        result: T = self._results[name]
        return result

    def found(self, name: str, digest: str) -> Any:
        """A result of a batch; None where it was not made."""
        return self._results.get(name) if digest == self._digest else None
