"""The log file that ``--debug`` leaves: the traceback of a crash, without keys."""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

from jobdash.cli.context import CliContext
from jobdash.config.settings import default_database_path
from jobdash.domain.text import redact
from jobdash.errors import JobdashError

NAME = "debug.log"


def write_crash(error: BaseException, context: CliContext) -> Path:
    """Append a traceback to the log beside the store; return the log's path."""
    path = _data_folder(context) / NAME
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "".join(traceback.format_exception(error))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n{redact(text)}\n")
    return path


def _data_folder(context: CliContext) -> Path:
    try:
        return context.config.database.parent
    except JobdashError:
        return default_database_path().parent
