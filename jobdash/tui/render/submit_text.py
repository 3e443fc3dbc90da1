"""The texts of the form in which a file is submitted."""

from __future__ import annotations

from jobdash.domain.describe.submit_text import same_file, waiting_words
from jobdash.domain.text import clean
from jobdash.operations.submit_check import SubmitCheck
from jobdash.tui.render.text import TextLine, wrapped

_FRAME = 8
_LONGEST = 500
"""Characters of one fault."""


def check_lines(found: SubmitCheck, width: int, now: int) -> list[TextLine]:
    """Return what a check has found, wrapped to fit into a dialog on a screen of this width."""
    lines: list[tuple[str, str]] = []
    if found.request is None:
        lines.append((found.head, "error"))
        lines += [(f"  {fault}", "text") for fault in found.faults]
    else:
        request = found.request
        lines.append((request.contents(found.cost), "success"))
        lines += [(waiting_words(found.waiting), "text")] if found.waiting else []
        lines += [(doubt, "warning") for doubt in request.doubts]
        lines += [(same_file(row, now), "warning") for row in found.sent_before]
    room = max(20, min(width * 88 // 100, 100) - _FRAME)
    return [((part, tone),) for text, tone in lines for part in wrapped(clean(text, _LONGEST), room)]
