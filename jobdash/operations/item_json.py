"""An item of a local job as JSON: what files of results and ``--json`` hold."""

from __future__ import annotations

import json
from typing import Any

from jobdash.domain.items import ItemRow
from jobdash.domain.time import utc_date


def item_json(item: ItemRow) -> dict[str, Any]:
    """Return an item as files and ``--json`` have it; what is unknown is None."""
    return {
        "key": item.key,
        "outcome": str(item.outcome),
        "detail": None if item.detail is None else _detail(item.detail),
        "error_type": item.error_type,
        "error": item.error,
        "attempt": item.attempt,
        "at": _rfc3339(item.at),
    }


def _detail(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # cut because it was too long, or nested beyond reason
        return text


def _rfc3339(ms: int) -> str | None:
    moment = utc_date(ms)
    return None if moment is None else f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"
