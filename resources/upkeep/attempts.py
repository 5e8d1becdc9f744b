"""Rows of attempts that lost their number to another: the ledger does not name them, nobody sees them."""

import polars as pl

from resources.lake import Lake
from resources.upkeep.days import days, is_merged
from resources.upkeep.report import Report

LANDED_IN = ("records", "dead_letters")


def remove_lost(lake: Lake, report: Report) -> None:
    """Remove the rows that lost attempts landed, in the days that are not merged yet.

    An attempt has lost once the ledger has its number under another attempt: ledger rows never change. One
    whose number the ledger does not have may still be in progress.
    """
    for name in LANDED_IN:
        for day, files in days(lake, name).items():
            lost = [] if is_merged(lake, name, files) and files.height == 1 else _lost(lake, files)
            if lost and report.in_time(f"{name}, lost attempts of {day}"):
                attempts = ", ".join(f"'{attempt}'" for attempt in lost)
                predicate = f"date = '{day}' AND attempt IN ({attempts})"
                report.delete(name, f"lost attempts of {day}", predicate)


def _lost(lake: Lake, files: pl.DataFrame) -> list[str]:
    landed = pl.scan_parquet(files["address"].to_list(), missing_columns="insert", extra_columns="ignore")
    attempts = landed.select("intake", "attempt").unique().collect()
    ledger = lake.read("ledger", ["number", "attempt"])  # read after the rows: who won meanwhile is named
    others = attempts.join(ledger, on="attempt", how="anti")
    return others.join(ledger, left_on="intake", right_on="number", how="semi")["attempt"].to_list()
