"""Logs are rotated under the feet of who writes them."""

from pathlib import Path

from local_stack.logs import open_log, rotate, tail


def test_writer_goes_on_after_rotation_and_two_old_logs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "part.log"
    with open_log(path) as log:
        for number in range(4):
            log.write(f"line {number}\n".encode())
            assert rotate(path, limit=3)
        log.write(b"now\n")
    assert path.read_text() == "now\n"
    assert path.with_name("part.log.1").read_text() == "line 3\n"
    assert path.with_name("part.log.2").read_text() == "line 2\n"
    assert not path.with_name("part.log.3").exists()


def test_short_log_stays(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_text("line\n")
    assert not rotate(path, limit=100)
    assert path.read_text() == "line\n"


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_text("".join(f"{number}\n" for number in range(50)))
    assert tail(path, lines=2) == "48\n49"
    assert tail(tmp_path / "none.log") == ""
