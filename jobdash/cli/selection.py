"""Which jobs a command is for: words, a filter, and words looked up at the providers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobdash.cli.clock import store_time
from jobdash.cli.context import CliContext
from jobdash.cli.output import Style, print_error
from jobdash.cli.time_format import ago
from jobdash.domain.filter.language import parse
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.errors import FilterError, JobAmbiguous, JobdashError, JobNotFound, UsageError
from jobdash.operations.job_lookup import SHORTEST_PREFIX, Browser, Scope, Sort, known_job


@dataclass(frozen=True, slots=True)
class JobSelector:
    """How the jobs were named on the command line."""

    words: tuple[str, ...] = ()
    expr: str | None = None
    accounts: tuple[str, ...] = ()
    """Narrows a filter, and where an unknown id is looked for."""

    def check(self) -> None:
        """Raise UsageError unless jobs are named in exactly one way."""
        if self.words and self.expr is not None:
            raise UsageError("name jobs or give a filter, not both")
        if not self.words and self.expr is None:
            raise UsageError("name at least one JOB, or give a filter with -f")
        if self.expr is not None and not self.expr.strip():
            # As a variable that is not set gives it.
            raise UsageError("the filter is empty, which is every job: say which, as -f status:unfinished")

    def scope(self) -> Scope:
        """Return what the filter, and ``--account``, let through."""
        parts = [self.expr or ""]
        if self.accounts:
            parts.append(f"account={','.join(self.accounts)}")
        return Scope(conditions=parse(" ".join(filter(None, parts))))


@dataclass(frozen=True, slots=True)
class SelectedJobs:
    """The jobs, and the words that named none."""

    rows: tuple[JobRow, ...]
    scope: Scope | None = None
    """Where they come from, when a filter chose them."""
    bad_words: int = 0


def select(context: CliContext, wanted: JobSelector, *, removed: bool = False) -> SelectedJobs:
    """Find the jobs; errors of bad names are printed on stderr.

    With no good name among them, raises what is wrong. ``removed``: a removed job may be named as well.
    """
    wanted.check()
    if wanted.accounts:
        wanted = replace(wanted, accounts=context.named_accounts(wanted.accounts))
    if wanted.expr is not None:
        scope = wanted.scope()
        browser = context.opened.browser
        chosen = [
            found[row_id]
            for ids in browser.iter_ids(scope)
            for found in (browser.rows(ids),)
            for row_id in ids
            if row_id in found
        ]
        return SelectedJobs(tuple(chosen), scope)
    return _named(context, wanted, removed=removed)


def select_one(context: CliContext, word: str, accounts: tuple[str, ...]) -> JobRow:
    """Find the one job a word names, a removed one too; raises what is wrong with it."""
    return select(context, JobSelector((word,), None, accounts), removed=True).rows[0]


def _named(context: CliContext, wanted: JobSelector, *, removed: bool) -> SelectedJobs:
    known: dict[str, JobRow | JobdashError | None] = {}
    for word in wanted.words:
        try:
            known[word] = known_job(context.opened.browser, word)
        except JobAmbiguous as error:
            known[word] = error
    unknown = [word for word, row in known.items() if row is None]
    if unknown:
        # Behind a condition: what asks accounts takes longer to import than all that a known job needs.

        from jobdash.cli.remote_search import look_up_remotely

        known |= look_up_remotely(context, unknown, wanted.accounts)
    rows: dict[int, JobRow] = {}
    errors: list[JobdashError] = []
    for word, found in known.items():
        if not isinstance(found, JobRow):
            errors.append(_not_found_error(context, word, found))
        elif found.removed_at is not None and not removed:
            when = ago(found.removed_at, store_time())
            reason = f"{clean(word, 80)} was removed {when}; jobdash undo {found.public_id}"
            errors.append(JobNotFound(reason))
        else:
            rows.setdefault(found.id, found)
    if not rows:
        raise _worst(errors)
    for wrong in errors:
        print_error(f"jobdash: {wrong}", Style.BAD)
    return SelectedJobs(tuple(rows.values()), bad_words=len(errors))


def _not_found_error(context: CliContext, word: str, found: JobdashError | None) -> JobdashError:
    """Return what is wrong with a word, with the way out where there is one."""
    if found is None:
        return JobNotFound(f"no job {clean(word, 80)!r}{way_out(context.opened.browser, word)}")
    if type(found) is JobNotFound:
        return JobNotFound(f"{found}{way_out(context.opened.browser, word)}")
    return found


def _worst(errors: Sequence[JobdashError]) -> JobdashError:
    """Return the error to end with, after the others were printed: rather one that is no "no such job"."""
    ordered = sorted(errors, key=lambda error: isinstance(error, JobNotFound))
    for error in ordered[1:]:
        print_error(f"jobdash: {error}", Style.BAD)
    return ordered[0]


def named_job(browser: Browser, word: str) -> JobRow:
    """Return the job a word names; JobNotFound (with a way out, where there is one) or JobAmbiguous."""
    row = known_job(browser, word)
    if row is None:
        raise JobNotFound(f"no job {clean(word, 80)!r}{way_out(browser, word)}")
    return row


def way_out(browser: Browser, word: str) -> str:
    """Return what may have been meant by a word without a job: a name, or too short a piece of an id."""
    if _is_name(browser, word):
        return f"; jobs are named by their ids, and by name with a filter: jobdash list -f {_filter(word)}"
    if len(word.strip()) < SHORTEST_PREFIX:
        return f": the beginning of an id has at least {SHORTEST_PREFIX} characters"
    return ""


def _is_name(browser: Browser, word: str) -> bool:
    from jobdash.domain.filter.language import parse

    try:
        conditions = parse(f'name="{word}"')
    except FilterError:
        return False
    return bool(browser.page(Scope(conditions=conditions), Sort(), None, 1))


def _filter(word: str) -> str:
    shown = clean(word, 80)
    return f"name:{shown}" if shown.replace("-", "").replace("_", "").isalnum() else f"'name:\"{shown}\"'"
