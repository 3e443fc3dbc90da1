"""Turns result objects into the bytes of a JSONL file, with the oddities the switches ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable

from jobdash.demo.emulator.batch_plan import Switches
from jobdash.demo.emulator.errors import JsonObject


def to_jsonl(objects: Iterable[JsonObject], switches: Switches) -> bytes:
    """One object a line; nothing at all for no object."""
    lines = [json.dumps(item, ensure_ascii=False) for item in objects]
    if not lines:
        return b""
    if switches.garbage_lines:
        lines[1:1] = ["", "<html>502 Bad Gateway</html>"]
    text = "\n".join(lines)
    return (text if switches.no_trailing_newline else text + "\n").encode()
