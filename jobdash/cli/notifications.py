"""Notifications that commands send: while they wait or watch, and for a trial."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from jobdash.cli.clock import store_time
from jobdash.cli.context import FAILED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.job_line import short_name
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.session import open_session
from jobdash.config.notify import NotifySettings
from jobdash.domain.notification import Notification, NotificationKind
from jobdash.errors import ConfigError, StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.notify import Notifier
from jobdash.operations.terminal_notification import terminal_sequence
from jobdash.operations.writer_thread import WriterThread

AT_TERMINAL = ("bell", "desktop")
"""The ways that are written to the terminal."""
NO_TERMINAL = "standard error is no terminal"
NO_WAY = "no way to notify anybody: set bell, desktop, command or webhook in [notify] of the config file"


@contextlib.asynccontextmanager
async def notifications(context: CliContext, store: WriterThread) -> AsyncIterator[None]:
    """Send what happens meanwhile, and at the end what has happened last; a cancel ends it at once."""
    notifier = notifier_of(context, store)
    if notifier is None:
        yield
        return
    ended = CancelToken()
    sending = asyncio.ensure_future(notifier.keep_sending(ended))
    try:
        yield
    except asyncio.CancelledError:
        sending.cancel()
        raise
    finally:
        ended.set()
        await asyncio.gather(sending, return_exceptions=True)
    with contextlib.suppress(StoreError):
        await notifier.send_new()


def notifier_of(context: CliContext, store: WriterThread) -> Notifier | None:
    """Return what sends the notifications of a command; None where none is configured."""
    settings = context.config.notify
    if settings is None:
        return None

    def show(notification: Notification) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(terminal_sequence(settings, notification, os.environ))
            sys.stderr.flush()

    return Notifier(
        settings,
        store,
        lambda: Browser(context.config.database),
        show,
        lambda words: print_error(words, Style.WARN),
        store.clock,
    )


def send_test(context: CliContext) -> int:
    """Send a notification of the newest job in every way; return the exit code."""
    settings = context.config.notify
    if settings is None:
        context.config.refuse_faulty("notify")
        raise ConfigError(NO_WAY)
    browser = context.opened.browser
    rows = browser.page(Scope(), Sort(), None, 1)
    job = browser.job(rows[0].id) if rows else None
    if job is None:
        print_error("there is no job yet that a notification could be of")
        return FAILED
    now = store_time()

    async def work(stop: CancelToken) -> dict[str, str]:
        async with open_session(context, stop) as session:
            notifier = notifier_of(context, session.work.store)
            assert notifier is not None
            return await notifier.send(Notification(NotificationKind.FINISHED, job.row, now), job, test=True)

    failed = run_stoppable(work)
    if not sys.stderr.isatty():
        failed |= {way: NO_TERMINAL for way in AT_TERMINAL if way in _ways(settings)}
    sent = [way for way in _ways(settings) if way not in failed]
    if context.as_json:
        document({"job": job.row.public_id, "sent": sent, "not_sent": failed})
        return FAILED if failed else 0
    if sent:
        print_text(f"Sent by {', '.join(sent)}: {short_name(job.row)}")
    for reason in dict.fromkeys(failed.values()):
        ways = [way for way, why in failed.items() if why == reason]
        print_text(f"Not sent by {', '.join(ways)}: {reason}")
    return FAILED if failed else 0


def _ways(settings: NotifySettings) -> list[str]:
    """Return the ways that are configured."""
    return [way for way in (*AT_TERMINAL, "command", "webhook") if getattr(settings, way)]
