"""Windows as clients name them."""

from api.problems import BadParameterError
from resources.errors import WindowError
from resources.windows import Grid, Window

LAST = "~"
"""Behind the key of every window."""


def named(grid: Grid, key: str, parameter: str = "window") -> Window:
    """The window that a client names.

    Raises:
        BadParameterError: there can be none.
    """
    try:
        return grid.window(key)
    except WindowError as error:
        raise BadParameterError(parameter, f"{error}.") from None


def bounds(grid: Grid, first: str | None, end: str | None) -> tuple[str, str]:
    """The keys [first, end) that ``from`` and ``to`` ask for; all, where they are not given.

    Raises:
        BadParameterError: one of them can be no window, or they are the wrong way round.
    """
    for parameter, key in (("from", first), ("to", end)):
        if key is not None:
            named(grid, key, parameter)
    if first and end and first > end:
        raise BadParameterError("from", f"from={first} lies behind to={end}.")
    return first or "", end or LAST
