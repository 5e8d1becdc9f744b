"""The parts of a long answer: they are let go however it ends, and what broke off never looks whole."""

import threading
from collections.abc import Generator

import pytest

from api.parts import Parts


def test_what_breaks_off_is_no_end() -> None:
    def broken() -> Generator[bytes]:
        yield b"first"
        raise ValueError("which the framework would take for the end")

    parts = Parts(broken())
    assert next(parts) == b"first"
    with pytest.raises(RuntimeError):
        next(parts)


def test_closing_waits_for_the_part_that_is_being_made() -> None:
    begun, go_on, let_go = threading.Event(), threading.Event(), threading.Event()

    def slow() -> Generator[bytes]:
        try:
            begun.set()
            go_on.wait(60)
            yield b"first"
            yield b"second"
        finally:
            let_go.set()

    parts = Parts(slow())
    made: list[bytes] = []
    reader = threading.Thread(target=lambda: made.append(next(parts)))
    reader.start()
    begun.wait(60)
    closer = threading.Thread(target=parts.close)
    closer.start()
    assert not let_go.is_set()
    go_on.set()
    for thread in (reader, closer):
        thread.join()

    assert made == [b"first"]
    assert let_go.is_set()
    assert list(parts) == []
