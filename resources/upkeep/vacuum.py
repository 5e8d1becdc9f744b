"""Vacuum: files that no table version in use needs any more are deleted, and old log entries."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from resources.delta import replacements, scan
from resources.errors import LakeError
from resources.lake import Lake
from resources.new_tables import FILES_KEPT, VERSIONS, VERSIONS_KEPT
from resources.tables import TABLES
from resources.upkeep.report import Report


def vacuum(lake: Lake, report: Report) -> None:
    """Delete the files that left each table hours ago, but those that a shown answer still needs.

    A reader that opened a version has these hours to finish.
    """
    for name in TABLES:
        if report.in_time(f"{name}, files that left it"):
            needed = needed_versions(lake, name) if name in VERSIONS else []
            _vacuum(lake, name, needed, report)
            if name in VERSIONS:
                _clean_log(lake, name, needed, report)


def needed_versions(lake: Lake, name: str) -> list[int]:
    """The versions of a table that shown answers need because its newest version does not hold them."""
    return sorted(set(needed_answers(lake, name).values()))


def needed_answers(lake: Lake, name: str) -> dict[str, int]:
    """The windows whose shown answers a table's newest version does not hold, and the version that does.

    While a window is answered anew, and for as long as that fails, readers find its shown answer in the last
    version before its rows were replaced, see :meth:`Lake.last_with`.
    """
    rows = lake.read("windows", ["window", "digest", "state", VERSIONS[name]])
    shown = rows.filter(pl.col("state") == "published").drop_nulls(VERSIONS[name])
    replaced = replacements(lake.table(name))
    found = {}
    for window, digest, _, version in shown.iter_rows():
        later = [number for number in replaced.get(window, []) if number > version]
        if later and not _holds(lake, name, window, digest):
            found[window] = later[0] - 1
    return {window: version for window, version in found.items() if _is_there(lake, name, version)}


def _holds(lake: Lake, name: str, window: str, digest: str) -> bool:
    rows = scan(lake.table(name), date.fromisoformat(window[:10])).filter(pl.col("window") == window)
    return not rows.filter(pl.col("digest") == digest).select("digest").head(1).collect().is_empty()


def _is_there(lake: Lake, name: str, version: int) -> bool:
    try:
        lake.table(name, version)
    except (DeltaError, LakeError):
        return False
    return True


def _vacuum(lake: Lake, name: str, needed: list[int], report: Report) -> None:
    def left(table: DeltaTable, dry_run: bool) -> list[str]:
        return table.vacuum(
            FILES_KEPT // timedelta(hours=1),
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,  # also what writers left that were killed before their commit
            keep_versions=needed or None,
        )

    folder = lake.folder(name)
    paths = left(lake.table(name), True)
    sizes = [file.stat().st_size for path in paths if folder and (file := folder / path).is_file()]
    if paths and report.commit(name, "files that left it", lambda table: {"gone": left(table, False)}):
        report.of(name).deleted += len(paths)
        report.of(name).freed += sum(sizes)


def _clean_log(lake: Lake, name: str, needed: list[int], report: Report) -> None:
    """Shorten a log; not while an older version than it would keep is needed."""
    oldest = (datetime.now(UTC) - VERSIONS_KEPT + timedelta(hours=1)).timestamp() * 1000
    for commit in lake.table(name).history() if needed else []:
        if commit["version"] in needed and commit["timestamp"] < oldest:
            report.left.append(f"{name}, its log: a window shows its answer of version {commit['version']}")
            return
    lake.table(name).cleanup_metadata()
