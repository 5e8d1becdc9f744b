"""``python -m local_stack.new_lake``: makes the lake's tables."""

import sys
from datetime import UTC, datetime

from resources.errors import SiltError
from resources.lake import Lake
from resources.settings import load_settings


def main() -> int:
    """Returns the exit code: 2 if the lake cannot be written."""
    try:
        settings = load_settings()
        Lake(settings.lake).create(datetime.now(UTC), settings.lateness)
    except SiltError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
