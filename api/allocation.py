"""How the process gives memory back: an export passes all through it, and would leave holes behind."""

import ctypes
import os

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""Of mallopt(3)."""
_LARGE_BYTES = 256 * 1024


def give_back() -> None:
    """Have C's allocator (glibc's) keep one heap for all threads and large blocks apart, and that of Polars
    return what is free at once. To be called before Polars is loaded."""
    os.environ["_RJEM_MALLOC_CONF"] = "dirty_decay_ms:0,muzzy_decay_ms:0"
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option:
        set_option(_ARENA_MAX, 1)
        set_option(_MMAP_THRESHOLD, _LARGE_BYTES)
