"""Every message once, in its home window, whatever fails: the short version of the harness."""

import pytest

from tests.faults.apart import run_apart


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_is_lost_doubled_or_mixed_whatever_is_killed() -> None:
    assert run_apart("-m", "tests.faults.harness", "short", seconds=400) == 0
