"""Numeric libraries held to one thread: several add up in the order in which they end."""

from functools import cache

from threadpoolctl import ThreadpoolController, _ThreadpoolLimiter


@cache
def _libraries() -> ThreadpoolController:
    """Looking for them takes some milliseconds."""
    return ThreadpoolController()


def one_thread() -> _ThreadpoolLimiter:
    """A context in which they use one thread each."""
    return _libraries().limit(limits=1)
