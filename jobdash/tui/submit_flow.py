"""The flow behind the key that submits a file: the form, the submit, and its toasts."""

from __future__ import annotations

from collections.abc import Sequence

from jobdash.domain.text import clean
from jobdash.errors import JobdashError
from jobdash.operations.submission.outcome import WELL, SubmitEnd, SubmitOutcome, worst
from jobdash.operations.submission.request import SubmitRequest
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import Host
from jobdash.tui.messages import Severity
from jobdash.tui.screens.submit import SubmitScreen

_FAILURES = {
    SubmitEnd.UNCONFIRMED: "is not confirmed",
    SubmitEnd.ENDED: "was created, and is over at once",
    SubmitEnd.STOPPED: "was not submitted",
}


class SubmitFlow:
    """Asks for a file and submits it; the form closes at once, and the submit goes on without it."""

    def __init__(self, app: Host, context: DashboardContext) -> None:
        self._app = app
        self._context = context

    async def ask(self) -> None:
        """Show the form, and submit what was confirmed."""
        if not self._context.config.accounts:
            self._app.notify("No account to submit to", severity="warning")
            return
        request = await self._app.push_screen_wait(SubmitScreen(self._context))
        if request is not None:
            self._app.run_worker(self._submit(request), name="submit")

    async def _submit(self, request: SubmitRequest) -> None:
        name = clean(request.name, 60)
        self._app.notify(f"Submitting {name}: {request.contents()}")
        submitting = self._context.under_way.submitting
        submitting.append(name)
        try:
            done = await self._app.with_store(lambda _store: self._send(request))
        except (JobdashError, OSError) as error:
            self._app.notify(f"{name} was not submitted: {clean(str(error), 300)}", severity="error")
        else:
            words, severity = _end(name, done)
            self._app.notify(words, severity=severity)
        finally:
            submitting.remove(name)

    async def _send(self, request: SubmitRequest) -> SubmitOutcome:
        """Submit a file; return the message about all its parts."""
        # Loaded after the form is shown; the threads of the accounts have it already.
        from jobdash.operations.submission.queue import submit_file

        runtime = self._app.runtime
        done = await submit_file(request, runtime.accounts[request.account.name], runtime.work())
        return done[0] if len(done) == 1 else _together(done)


def _together(parts: Sequence[SubmitOutcome]) -> SubmitOutcome:
    """Return the outcome of a file in several parts: the worst of theirs, with how many came to what."""
    counts = worst(parts)
    sent = sum(done.end is SubmitEnd.CREATED for done in parts)
    waiting = sum(done.end is SubmitEnd.QUEUED for done in parts)
    words = [f"{sent:,} of {len(parts):,} parts sent", *([f"{waiting:,} queued here"] if waiting else [])]
    if counts.end not in WELL:
        words.append(counts.reason)
    return SubmitOutcome(counts.end, ", ".join(words), None)


def _end(name: str, done: SubmitOutcome) -> tuple[str, Severity]:
    """Return the toast about the end of a submit: its words, and how bad it is."""
    if done.row is None and done.end is SubmitEnd.CREATED:
        return f"{name}: {done.reason}", "information"
    if done.end is SubmitEnd.QUEUED:
        return f"{name}: {clean(done.reason, 400)}", "information"
    if done.end is SubmitEnd.CREATED:
        batch = done.row.remote_id if done.row is not None else None
        note = f"; {done.reason}" if done.reason else ""
        return f"{name} submitted: {batch}{note}", "warning" if done.reason else "information"
    words = _FAILURES.get(done.end, "was not submitted")
    severity: Severity = "warning" if done.end is SubmitEnd.UNCONFIRMED else "error"
    return f"{name} {words}: {clean(done.reason, 400)}", severity
