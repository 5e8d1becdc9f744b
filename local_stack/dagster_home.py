"""``python -m local_stack.dagster_home``: writes $DAGSTER_HOME/dagster.yaml."""

import os
from pathlib import Path

from resources.settings import PROJECT, Settings, load_settings

_POSTGRES = """
storage:
  postgres:
    postgres_url:
      env: SILT_POSTGRES_URL
"""
_SQLITE = """
storage:
  custom:
    module: platform_assets.sqlite_storage
    class: SqliteStorage
    config:
      base_dir:
        env: DAGSTER_HOME
"""


def write_dagster_home(home: Path, settings: Settings) -> None:
    """Make a Dagster home: our dagster.yaml, and where Dagster keeps things: Postgres, if set, or files."""
    home.mkdir(parents=True, exist_ok=True)
    text = (PROJECT / "dagster.yaml").read_text() + (_POSTGRES if settings.postgres_url else _SQLITE)
    (home / "dagster.yaml.new").write_text(text)
    (home / "dagster.yaml.new").replace(home / "dagster.yaml")


if __name__ == "__main__":
    write_dagster_home(Path(os.environ["DAGSTER_HOME"]), load_settings())
