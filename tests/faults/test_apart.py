"""The harness leaves nothing behind, however it ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.apart import run_apart

_BEGINS = """
import subprocess, sys
from pathlib import Path
folder = Path(sys.argv[2])
(folder / "disk").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "silt", folder / "disk"], check=True)
subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True)
"""
_ENDS = {
    "in order": "sys.exit(0)",
    "by an error": "raise SystemExit(3)",
    "by a signal": "import os; os.abort()",
}


def sleeps(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", mark]]


@pytest.mark.parametrize(("how", "code"), [("in order", 0), ("by an error", 3), ("by a signal", 134)])
def test_what_ends_apart_leaves_no_process_no_mount_and_no_folder(
    how: str, code: int, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mark = f"{time.time_ns() / 1e6:.6f}"
    seen = tmp_path / "seen"
    program = f"{_BEGINS}\nPath({str(seen)!r}).write_text(str(folder))\n{_ENDS[how]}"
    assert run_apart("-c", program, mark) == code
    folder = seen.read_text()
    assert not Path(folder).exists()
    assert folder not in Path("/proc/mounts").read_text()
    assert not sleeps(mark)


def test_what_is_killed_apart_leaves_no_process(tmp_path: Path) -> None:
    mark = f"{time.time_ns() / 1e6:.6f}"
    program = f"{_BEGINS}\nprint('begun', flush=True)\nimport time; time.sleep(600)"
    code = "import sys; from tests.faults.apart import run_apart; sys.exit(run_apart('-c', *sys.argv[1:]))"
    command = [sys.executable, "-c", code, program, mark]
    outer = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    assert outer.stdout
    assert outer.stdout.readline() == "begun\n"
    assert len(sleeps(mark)) == 1
    outer.kill()
    outer.wait(20)
    deadline = time.monotonic() + 10
    while sleeps(mark):
        assert time.monotonic() < deadline, "it outlives the harness"
        time.sleep(0.1)
