"""Translation of the store's statements, which are written for SQLite, for the driver of PostgreSQL."""

from __future__ import annotations

import re
from functools import lru_cache

_PIECES = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|::|(?P<hint> INDEXED BY \w+)|(?P<like>\bLIKE\b)|(?P<same>\bIS (?=[?:]))"
    r"|(?P<place>\?)|:(?P<name>[a-z]\w*)|(?P<percent>%)"
)


@lru_cache(maxsize=2_000)
def native_sql(sql: str) -> str:
    """Return a statement as the driver reads it.

    It has other marks for values, no hints of indexes, and compares text with LIKE as SQLite does, where a
    letter's case makes no difference.
    """
    return _PIECES.sub(_native, sql)


def _native(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "hint":
            return ""
        case "like":
            return "ILIKE"
        case "same":
            return "IS NOT DISTINCT FROM "
        case "place":
            return "%s"
        case "name":
            return f"%({found['name']})s"
        case "percent":
            return "%%"
        case _:
            return found[0].replace("%", "%%")
