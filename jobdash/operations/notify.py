"""Notifications: events are claimed from the store and sent in the ways of ``[notify]``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx2
import stamina

from jobdash.config.notify import NotifySettings
from jobdash.domain.describe.job_text import shown_status
from jobdash.domain.job import JobDetails
from jobdash.domain.notification import Notification, NotificationKind, kind_of_end
from jobdash.domain.text import clean, redact
from jobdash.domain.time import Clock, rfc3339, system_clock
from jobdash.errors import StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken, sleep_until_cancelled
from jobdash.operations.job_lookup import Browser
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.commands.notifications import ClaimedEvent
from jobdash.store.writer import Writer

POLL_EVERY_S = 2.0
"""How often the store is polled for new events."""
COMMAND_S = 10.0
"""How long the program of a person may take with one notification."""
WEBHOOK_TRIES = 4
_WEBHOOK_S = 10.0
_SEEN_BY_TIME = frozenset({NotificationKind.STALLED, NotificationKind.RESULTS_GONE_SOON})


@dataclass(frozen=True)
class Notifier:
    """Sends the events that no process has sent notifications of yet."""

    settings: NotifySettings
    store: WriterThread
    open_browser: Callable[[], Browser]
    show: Callable[[Notification], None]
    """Rings the terminal's bell and shows a notification of the desktop, where there is a terminal."""
    on_error: Callable[[str], None]
    """Called with a sentence for a way that failed."""
    clock: Clock = system_clock

    async def send_new(self) -> list[Notification]:
        """Send what has happened since the last call of any process; return what was sent."""
        claimed = await self.store.write(Writer.claim_notifications)
        if not claimed:
            return []
        with closing(self.open_browser()) as browser:
            jobs = browser.jobs([event.job_id for event in claimed])
        found = [(made, jobs[event.job_id]) for event in claimed if (made := self._wanted(event, jobs))]
        for notification, job in found:
            await self.send(notification, job)
        return [notification for notification, _ in found]

    async def keep_sending(self, stop: CancelToken) -> None:
        """Send what happens, until the token is set; a store that is busy is asked again.

        What was claimed before that is sent: no other process would send it.
        """
        while not stop.is_set():
            with contextlib.suppress(StoreError):
                await self.send_new()
            await sleep_until_cancelled(POLL_EVERY_S, asyncio.sleep, stop)

    def _wanted(self, event: ClaimedEvent, jobs: Mapping[int, JobDetails]) -> Notification | None:
        """Return the notification of an event, if the settings ask for it."""
        job = jobs.get(event.job_id)
        if job is None or job.row.removed_at is not None:
            return None
        row, by_time = job.row, event.action in _SEEN_BY_TIME
        kind = NotificationKind(event.action) if by_time else kind_of_end(row)
        if kind not in self.settings.on:
            return None
        if self.settings.accounts and row.account not in self.settings.accounts:
            return None
        if not self.settings.filter.matches(row, job.tags, self.clock(), job.attention):
            return None
        return Notification(kind, row, event.at)

    async def send(
        self, notification: Notification, job: JobDetails, *, test: bool = False
    ) -> dict[str, str]:
        """Send one notification in every way; return why some failed, by way. ``test``: nothing happened."""
        if self.settings.bell or self.settings.desktop:
            self.show(notification)
        payload = notification_json(notification, job, self.clock(), test=test)
        failures: dict[str, str] = {}
        ways = []
        if self.settings.command:
            ways.append(("command", run_command(self.settings.command, payload)))
        if self.settings.webhook:
            ways.append(("webhook", post_webhook(self.settings, payload, self.clock())))
        for way, sending in ways:
            try:
                await sending
            except (OSError, httpx2.HTTPError, httpx2.InvalidURL, NotificationRefused) as error:
                failures[way] = clean(redact(_reason(error)), 200)
        for way, reason in failures.items():
            self.on_error(f"notification by {way} failed: {reason}")
        return failures


class NotificationRefused(Exception):
    """A program ended with an error, or a server refused."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether the same request may succeed later."""


def notification_json(
    notification: Notification, job: JobDetails, now: int, *, test: bool = False
) -> dict[str, Any]:
    """Return a notification as a command reads it, and a server is sent it."""
    row = job.row
    return {
        "event": str(notification.kind),
        "test": test,
        "at": rfc3339(notification.at),
        "title": notification.title,
        "text": notification.body,
        "job": {
            "id": row.public_id,
            "name": row.name,
            "account": row.account,
            "provider": row.provider,
            "remote_id": row.remote_id,
            "model": row.model,
            "status": str(row.status),
            "shown_status": shown_status(row, now),
            "total": row.total,
            "succeeded": row.succeeded,
            "failed": row.failed,
            "error": row.error,
            "tags": dict(job.tags),
        },
    }


async def run_command(command: Sequence[str], payload: Mapping[str, Any]) -> None:
    """Run a person's program with a notification on its standard input; its output goes nowhere.

    Raises OSError, TimeoutError after `COMMAND_S`, and `NotificationRefused` for an exit code.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            await process.communicate(json.dumps(payload).encode())
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode:
        raise NotificationRefused(f"{command[0]} ended with exit code {process.returncode}")


async def post_webhook(settings: NotifySettings, payload: Mapping[str, Any], now: int) -> None:
    """Send a notification to the webhook, signed where there is a secret; repeated where that can help.

    The header ``Jobdash-Signature`` is ``t=SECONDS,v1=HEX``, the HMAC-SHA256 of ``SECONDS.BODY``. Raises
    `httpx2.HTTPError`, `httpx2.InvalidURL` and `NotificationRefused`.
    """
    body = json.dumps(payload).encode()
    headers = {"content-type": "application/json", **signature(settings, body, now)}
    async with httpx2.AsyncClient(timeout=_WEBHOOK_S) as client:
        async for attempt in stamina.retry_context(on=_may_repeat, attempts=WEBHOOK_TRIES, timeout=None):
            with attempt:
                answer = await client.post(settings.webhook, content=body, headers=headers)
                if answer.status_code >= 300:
                    transient = answer.status_code in {408, 429} or answer.status_code >= 500
                    raise NotificationRefused(f"HTTP {answer.status_code}", transient=transient)


def signature(settings: NotifySettings, body: bytes, now: int) -> dict[str, str]:
    """Return the header that signs a body; empty without a secret."""
    if settings.webhook_secret is None:
        return {}
    seconds = str(now // 1000)
    signed = hmac.new(
        settings.webhook_secret.reveal().encode(), f"{seconds}.".encode() + body, hashlib.sha256
    )
    return {"jobdash-signature": f"t={seconds},v1={signed.hexdigest()}"}


def _may_repeat(error: Exception) -> bool:
    return isinstance(error, httpx2.TransportError) or getattr(error, "transient", False)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {COMMAND_S:g} s"
    return str(error) or type(error).__name__
