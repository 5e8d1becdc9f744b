"""Logs of a server: one JSON object a line for machines, or a line of text for a person at a terminal."""

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

LogFormat = Literal["auto", "json", "text"]
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered: every line that is logged meanwhile carries it."""

_PATIENCE_SECONDS = 0.05


class JsonFormatter(logging.Formatter):
    """A record as one JSON object in ASCII: ``ts``, ``level``, ``logger``, ``message``, ``requestId``, what
    the record carries as ``fields``, and the ``traceback`` of an error."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := _request_id(record):
            entry["requestId"] = request_id
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        try:
            return msgspec.json.encode(entry).decode("ascii")
        except (UnicodeError, TypeError):
            return json.dumps(entry, default=str)


class TextFormatter(logging.Formatter):
    """A record as a line that begins with its time and ends with the request's id; then the traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        request_id = _request_id(record)
        return super().formatMessage(record) + (f" [{request_id}]" if request_id else "")


def _request_id(record: logging.LogRecord) -> str | None:
    """The request that a line is about, also where it is written after that request."""
    return getattr(record, "request_id", None) or REQUEST_ID.get()


class PatientHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error what less than a warning says, together with what follows within 50 ms.

    A line for every request is many lines: to write each by itself takes longer than to answer from memory,
    as other threads run meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.request_id = REQUEST_ID.get()
        self._records.append(record)
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._records) == 1:
            timer = threading.Timer(_PATIENCE_SECONDS, self.flush)
            timer.daemon = True
            timer.start()

    def flush(self) -> None:
        """Write what has waited."""
        with self.lock or threading.Lock():
            records, self._records = self._records, []
        self.stream.write("".join(f"{self.format(record)}\n" for record in records))
        super().flush()


def log_config(form: LogFormat) -> dict[str, Any]:
    """A configuration for ``logging.config.dictConfig``: all loggers, granian's too, write to standard error.

    ``auto`` is text where that is a terminal, JSON otherwise.
    """
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": TextFormatter if text else JsonFormatter}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line"},
            "patient": {"()": PatientHandler, "formatter": "line"},
        },
        "loggers": {
            "_granian": {"handlers": ["console"], "propagate": False},
            "silt.access": {"handlers": ["patient"], "propagate": False},
        },
        "root": {"handlers": ["console"], "level": "INFO"},
    }
