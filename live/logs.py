"""What is written to standard error: one line a record, as text for people or as JSON for machines, each with the id of the request
that it belongs to. Never personal data: no texts, names, addresses, tokens; of an exception the kind and where it was raised, not
its message, which may quote anything.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from contextvars import ContextVar
from secrets import token_hex

import msgspec

from live.settings import Settings

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The id of the request or connection that is being served."""
_GIVEN = re.compile(r"[A-Za-z0-9-]{8,64}")


def request_id(given: str | None) -> str:
    """The id that a proxy has given, if it looks like one, or a new one."""
    return given if given is not None and _GIVEN.fullmatch(given) else token_hex(8)


def configure(settings: Settings) -> None:
    """From now on everything that this process logs looks so."""
    handler = logging.StreamHandler()
    as_text = sys.stderr.isatty() if settings.log_format == "auto" else settings.log_format == "text"
    handler.setFormatter(Text() if as_text else Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
    logging.getLogger("uvicorn").setLevel("WARNING")
    logging.getLogger("alembic").setLevel("WARNING")


class Json(logging.Formatter):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        return msgspec.json.encode(fields(record)).decode()


class Text(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        said = fields(record)
        head = f"{said.pop('time')} {said.pop('level'):7s} {said.pop('logger')}: {said.pop('message')}"
        return head + "".join(f" {name}={value}" for name, value in said.items())


def fields(record: logging.LogRecord) -> dict[str, object]:
    """What is said of a record. `extra={"fields": {…}}` adds to it."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    said: dict[str, object] = {"time": f"{at}.{int(record.msecs):03d}Z", "level": record.levelname, "logger": record.name}
    said["message"] = record.getMessage().partition("\n")[0]
    if request := REQUEST.get():
        said["request"] = request
    said |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[1] is not None:
        said["error"] = " < ".join(kinds(record.exc_info[1]))
        said["raised"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(record.exc_info[2])
        ]
    return said


def kinds(error: BaseException | None) -> list[str]:
    """The kinds of an error and of what led to it."""
    return [] if error is None else [type(error).__name__, *kinds(error.__cause__)]
