"""Words that name no job here: looked up at the accounts whose ids look like them."""

from __future__ import annotations

from collections.abc import Sequence

from jobdash.cli.context import CliContext
from jobdash.cli.event_loop import run
from jobdash.cli.session import open_session
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.errors import JobdashError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.polling.remote_lookup import RemoteMatch, candidates, find_remote


def look_up_remotely(
    context: CliContext, words: Sequence[str], only: tuple[str, ...]
) -> dict[str, JobRow | JobdashError | None]:
    """Ask the accounts for the words that may be ids of theirs; return a job, an error or None for each.

    Where nothing can be written, none is asked.
    """
    asked = {word: accounts for word in words if (accounts := candidates(word, context.config, only))}
    if not asked or context.opened.read_only is not None:
        return {}

    async def work(stop: CancelToken) -> dict[str, RemoteMatch]:
        async with open_session(context, stop) as session:
            browser = context.opened.browser
            return {
                word: await find_remote(word, accounts, session.accounts, browser, session.work)
                for word, accounts in asked.items()
            }

    found = run(work)
    return {word: answer.row or answer.error(clean(word, 80)) for word, answer in found.items()}
