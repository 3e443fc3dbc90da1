"""The output of an error: one sentence, or with its lines and the place of a mistake."""

from __future__ import annotations

from jobdash.cli.output import Style, print_error
from jobdash.domain.text import clean
from jobdash.errors import FileFaults, FilterError, JobdashError


def show_error(error: JobdashError) -> None:
    """Print an error as a person reads it: in one line, or with its lines and the place of a mistake."""
    if isinstance(error, FileFaults) and len(error.faults) > 1:
        print_error(f"jobdash: {error.head}:", Style.BAD)
        for fault in error.faults:
            print_error(f"  {fault}")
        return
    print_error(f"jobdash: {error}", Style.BAD)
    if isinstance(error, FilterError) and error.text:
        for line in caret_lines(error.text, error.position):
            print_error(line)


def caret_lines(text: str, position: int) -> tuple[str, str]:
    """Return the filter as it may be seen, and a caret under the place."""
    from jobdash.cli.tables import cells  # most commands print no caret

    shown = clean(text)
    before = clean(text[:position])
    return f"  {shown}", f"  {' ' * cells(before)}^"
