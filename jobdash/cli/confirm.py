"""The question before an action: the plan as the dialog shows it, and an answer that has to be typed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from jobdash.cli.clock import store_time
from jobdash.cli.job_line import known_done, short_name
from jobdash.cli.output import Style, print_error, print_text
from jobdash.cli.tables import cells, terminal_width, wrapped
from jobdash.domain.describe.job_text import shown_status
from jobdash.domain.describe.plan_text import danger_button, notes, title
from jobdash.domain.plan import Decision, Plan
from jobdash.errors import NotConfirmed

MOST_SHOWN = 20
"""Jobs of a plan that are shown one by one."""


_NOBODY = "not confirmed, as there is no terminal to ask at; --yes does without the question"
Print = Callable[[str, Style], None]


def show_plan(plan: Plan, out: Print = print_error, most: int | None = MOST_SHOWN) -> None:
    """Print what a plan would do, with at most so many of its jobs."""
    width = terminal_width(sys.stdout if out is print_text else sys.stderr)
    out(title(plan), Style.STRONG)
    for decision in plan.acting[:most]:
        for line in wrapped(_job_words(decision), width, "  ", "    "):
            out(line, Style.PLAIN)
    if most is not None and (rest := len(plan.acting) - most) > 0:
        out(f"  … and {rest:,} more", Style.PLAIN)
    lines = notes(plan)
    topics = max(cells(note.topic) for note in lines)
    for note in lines:
        head = f"  {note.topic.ljust(topics)}  "
        for line in wrapped(note.text, width, head, " " * len(head)):
            out(line, Style.WARN if note.warning else Style.PLAIN)


def _job_words(decision: Decision) -> str:
    job = decision.job
    words = (job.public_id, short_name(job), job.account, shown_status(job, store_time()), known_done(job))
    return "  ".join(filter(None, words))


def confirm_plan(plan: Plan) -> None:
    """Show a plan and ask; NotConfirmed when the answer is no, or there is no terminal.

    For more than twenty jobs the number itself is the yes.
    """
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{danger_button(plan)}: {_NOBODY}")
    show_plan(plan)
    number = len(plan.acting)
    if plan.typed:
        if _typed(f"Type {number} to go on: ").replace(",", "") != str(number):
            raise NotConfirmed("not confirmed; nothing was changed")
        return
    ask(danger_button(plan))


def ask(what: str) -> None:
    """Ask for a yes; NotConfirmed when the answer is anything else, or there is no terminal."""
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{what}: {_NOBODY}")
    if _typed(f"{what}? [y/N] ").lower() not in {"y", "yes"}:
        raise NotConfirmed("not confirmed; nothing was changed")


def _typed(question: str) -> str:
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().strip()
    except OSError:  # the terminal was closed, or the question cannot be seen
        return ""
