"""What a part of the stack is: a process, how to see that it is ready, and what it needs to be ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _always() -> bool:
    return True


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Part:
    """A process of the stack.

    Attributes:
        name: as shown to people; also the name of its log.
        command: program and arguments.
        ready: asked several times a second once the process runs; must answer within a second or two.
        url: where people find it, shown when it is ready.
        after: names of the parts that must be ready before it starts.
        env: variables in addition to those of the stack.
        once: it ends by itself, and is ready when it has ended with exit code 0.
        patience: seconds until it must be ready.
        when_ready: called each time it gets ready.
        told_by: the part whose log says why this one does not get ready, if not its own.
    """

    name: str
    command: list[str]
    ready: Callable[[], bool] = _always
    url: str = ""
    after: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    patience: float = 240
    when_ready: Callable[[], None] = _nothing
    told_by: str = ""
