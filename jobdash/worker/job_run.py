"""One attempt at a job in this process, from its claim to its end."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator
from functools import partial
from typing import Any
from weakref import ref

from jobdash.domain.status import Status, ended_text
from jobdash.domain.text import clean
from jobdash.store.leases.claims import Claim
from jobdash.store.leases.continuation import MODES, NEVER, CannotResumeError
from jobdash.store.leases.lease import ItemWrite, Lease, LeaseRefused
from jobdash.worker import job_context, process, script, settings
from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import JobCancelled, LeaseLost
from jobdash.worker.outcome import LoopInstruction, begin_line, end_line, exit_outcome, so_far, uncaught
from jobdash.worker.process import uninterrupted
from jobdash.worker.recorder import PATIENCE_MS, Heartbeat, Recorder
from jobdash.worker.settings import TrackOptions, TrackSettings
from jobdash.worker.store_connection import defer, sentence
from jobdash.worker.terminal import ProgressLine, ProgressState, print_line, shown_here

COUNTS_FLUSH_S = 0.2
"""How often the counts of a loop without keys are written by default."""
PATIENCE_ON_A_LOOP_MS = 50
"""The same as `PATIENCE_MS` where an event loop would stand still meanwhile."""
_MOST_UNWRITTEN = 1_000
"""Outcomes of a flush interval that are written at once, interval or not."""


class JobRun:
    """The counts, the token, and everything that begins and ends with a job.

    In a forked child it neither writes nor prints anything.
    """

    def __init__(self, options: TrackOptions) -> None:
        self.token = Token(options.thread)
        self.name = options.name
        self.unit = options.unit
        self.keyed = options.keyed
        self.total = options.total
        self.succeeded = 0
        self.failed = 0
        self.before = 0
        """What earlier attempts had done."""
        self.public_id: str | None = None  # as long as there is no store to record it in
        self.end_status: str | None = None
        """How it ended: ``completed``, ``cancelled``, ``failed``, ``lost``; None while it runs."""
        self.detail_bytes = options.detail_bytes
        self.on_a_loop = options.on_a_loop
        """Under asyncio tasks check the token: a cancel raised in one ends the program."""
        self.recorder = Recorder(self.token, PATIENCE_ON_A_LOOP_MS if options.on_a_loop else PATIENCE_MS)
        self._options = options
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._line: ProgressLine | None = None
        self._heartbeat: Heartbeat | None = None
        default_flush_s = 0 if options.keyed else COUNTS_FLUSH_S
        self._flush_s = default_flush_s if options.flush_s is None else options.flush_s
        self._begun = False
        self.startable = False
        self._left_at: LoopInstruction | None = None
        self._left_by_exception = False
        self._all_yielded = False
        self._end_as: tuple[str, str] | None = None
        self._remarks: list[str] = []
        """What was not recorded though the job is completed; kept as its error."""
        self._loop: ref[Generator[Any, None, None]] | None = None

    @property
    def done(self) -> int:
        """Items with an outcome, in all attempts."""
        return self.succeeded + self.failed

    @property
    def stopping(self) -> bool:
        """Whether it runs in this process and was asked to stop."""
        return self.token.stopped and self.end_status is None and self._pid == os.getpid()

    def begin(self) -> None:
        """Claim the job and start its heartbeat.

        `conclude` has to be called even if this is interrupted; another thread may do so meanwhile. Raises
        `CannotResumeError` when the job that was named cannot be continued.
        """
        process.prepare_process()
        process.end_interrupted()
        process.live.add(self)
        lease_ms = settings.LEASE_MS
        try:
            found = settings.read(self._options.db)
            lease_ms = found.lease_ms
            self._claim(found)
        except CannotResumeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a setting, the work goes on
            what = sentence(str(error) or type(error).__name__)
            print_line(f"jobdash: {what} The loop runs on; nothing of it is recorded.")
        finally:
            with self._lock:
                self._begun = True
                end_as = self._end_as
        if end_as is not None:
            self._end(*end_as)
            return
        if self._options.progress and settings.progress_wanted() and shown_here():
            self._line = ProgressLine(self.name, self.unit)
        with self._lock:
            if self._end_as is None:
                self._start_heartbeat(lease_ms)

    def _start_heartbeat(self, lease_ms: int) -> None:
        self._heartbeat = Heartbeat(self.recorder, self._flush_s, lease_ms / 1000, self._draw)
        # At the end of the interpreter no thread can be started; what there is to write waits for the end.
        with contextlib.suppress(RuntimeError):
            self._heartbeat.start()

    def _claim(self, found: TrackSettings) -> None:
        request = settings.claim_request(self._options, found)
        claim = self.recorder.begin(found.database, request, None if self.keyed else self._counts)
        if found.job is not None and (claim is None or claim.public_id == found.job):
            # It was meant for one job: this script may begin others, and so may the processes it starts.
            os.environ.pop(settings.JOB, None)
        if claim is not None:
            if self._options.flush_s is None:
                self._flush_s = max(self._flush_s, claim.lease.connection.dialect.pace_s)
            self._claimed(claim, found)

    def _claimed(self, claim: Claim, found: TrackSettings) -> None:
        self.public_id = claim.public_id
        if self._options.resume not in MODES:
            self.name = claim.name
        self.succeeded, self.failed, self.total = claim.succeeded, claim.failed, claim.total
        self.before = self.done
        self.token.belongs_to(found.database, claim.job_id, claim.fence)
        self.token.job_label = f"job {clean(self.name)} ({claim.public_id})"
        self.startable = script.command_line() is not None
        line = begin_line(clean(self.name), self.keyed, claim)
        if line is not None:
            print_line(f"jobdash: {line}")

    def _counts(self) -> tuple[int, int]:
        return self.succeeded, self.failed

    def _draw(self) -> None:
        if self._line is not None:
            self._line.draw(self._progress())

    def _progress(self) -> ProgressState:
        return ProgressState(self.succeeded, self.failed, self.total, self.before)

    def add_succeeded(self, number: int) -> None:
        """Count items as done whose blocks were not entered, or take that back."""
        with self._lock:
            self.succeeded += number

    def reset_counts(self) -> None:
        """Count from zero."""
        with self._lock:
            self.succeeded = self.failed = 0

    def set_total(self, total: int) -> None:
        """Record how many items the iterable had."""
        if self.total != total:
            self.total = total
            self.recorder.set_total(total)

    def warn(self, what: str) -> None:
        """Print a remark about the run, and keep it with its end; not once more in a forked child."""
        if self._pid == os.getpid():
            self._remarks.append(what)
            print_line(f"jobdash: {what}")

    def count(self, outcome: str, write: ItemWrite | None) -> None:
        """Count the outcome of an item and, where it has a key, record it.

        Raises `LeaseLost` when the store refuses it.
        """
        with self._lock:
            if outcome == "error":
                self.failed += 1
            else:
                self.succeeded += 1
        if write is not None and self.recorder.recording:
            waiting = self.recorder.add(write)
            if waiting >= _MOST_UNWRITTEN or not self._flush_s:
                self.recorder.flush()
        if self.token.lost is not None:
            raise self.token.stop()

    def stop(self) -> JobCancelled:
        """Return the exception that ends the loop, with what is done so far in its message."""
        return self.token.stop(ended_text(Status.CANCELLED, self.done, self.total))

    @uninterrupted
    def conclude(self, error: BaseException | None, exhausted: bool) -> None:
        """End the job by ``error``, which left the block or the loop; None: it was left without one.

        Raises `LeaseLost` when the job turns out to be no longer ours, and ``error`` is no other exception.
        """
        self.token.ending = True
        word, ended = exit_outcome(error, exhausted, so_far(self.done, self.total))
        with self._lock:
            if self._end_as is not None:
                return
            self._end_as = word, ended
            self._left_by_exception = error is not None
            if not self._begun:  # the thread that claims ends what it gets
                return
        self._end(word, ended)
        if self.token.lost is not None and (error is None or _is_cancel(error)):
            raise self.token.stop()

    def _end(self, word: str, ended: str) -> None:
        if defer(partial(self._end, word, ended)):
            return
        try:
            if self._heartbeat is not None:
                self._heartbeat.stop()
            self.write_end()
        finally:
            process.stop_listening(self.token)
        if self._pid != os.getpid():
            return
        if self.recorder.cancelled_elsewhere:
            word = "cancelled"
        if self._line is not None:
            self._line.draw(self._progress(), last=True, public_id=self.public_id)
        self._report_end(word)

    @property
    def ended(self) -> bool:
        """Whether it has ended, also when an interrupt kept that from being written."""
        return self._end_as is not None

    def write_end(self) -> None:
        """Write how the job ended, and give it back; once more if that was interrupted."""
        assert self._end_as is not None
        word, ended = self._end_as
        try:
            if self._pid == os.getpid() and self.token.lost is None:
                remark = "; ".join(self._remarks) if word == "completed" else ""
                self.recorder.end(word, ended, ended if word == "failed" else remark or None)
        except LeaseRefused as refused:
            self.recorder.refused(refused)
        # Not in the middle of a statement: the end is written after it. And a fork must not come between an
        # open connection and this.
        if not self.recorder.recording:
            process.live.discard(self)

    def _report_end(self, word: str) -> None:
        if self.token.lost is not None:
            self.end_status = "lost"
            print_line(f"jobdash: {self.token.job_label} {self.token.lost}, exiting")
            return
        self.end_status = word
        if word == "cancelled" and self.token.stopped:
            print_line(ended_text(Status.CANCELLED, self.done, self.total))
        # A `break` is the script's own decision.
        if word != "cancelled" or self.token.stopped or self._left_by_exception or self.failed:
            _print_end(self, word)

    @property
    def continuable(self) -> bool:
        """Whether a next run of the script finds this job."""
        return self._options.work is not None and self._options.resume != NEVER

    def continues(self, error: BaseException | None = None) -> bool:
        """Whether the script continues after a cancel; ``error`` left the loop or block, if any.

        Never when a job around this one is to end too: the item that it is at is not done.
        """
        wanted = self._options.continue_after_cancel and (error is None or _is_cancel(error))
        return wanted and self.token.lost is None and not job_context.is_cancelled()

    def runs_in(self, loop: ref[Generator[Any, None, None]]) -> None:
        """Set the generator of a plain loop, by whose end the run ends."""
        self._loop = loop

    def leave(self, error: BaseException | None, yielded: int, at: LoopInstruction | None) -> None:
        """End a plain loop that was left, ``at`` the place in the frame that looped.

        ``error`` is the exception that is being handled, if there is one. ``yielded`` is how many items the
        loop got. With all of them it is completed: `zip` asks for no more than it needs.
        """
        self._all_yielded = error is None and not self.token.stopped and yielded > 0 and yielded == self.total
        if self._all_yielded:
            self.succeeded = yielded
        self._left_at = at
        with contextlib.suppress(LeaseLost):  # it has been reported
            self.conclude(error, exhausted=self._all_yielded)
        if self.end_status == "completed" or (self.end_status == "cancelled" and not self.token.stopped):
            process.left_early.append(self)

    def fail_if_uncaught(self) -> None:
        """End a loop that was left as failed, when the exception that has ended the script came from it.

        While an exception goes up, the loop does not see it; at the end of the script Python keeps it. Only
        then is there something to report about a loop that seemed to be left by a ``break``.
        """
        error = uncaught(self._left_at)
        if error is None or self._pid != os.getpid():
            return
        word, ended = exit_outcome(error, False, so_far(self.done, self.total))
        if word == "failed" and not self.recorder.fail_after_all(ended, self.succeeded - self._all_yielded):
            return
        if not self._left_by_exception and not self.failed:
            _print_end(self, word)

    def abandon(self) -> None:
        """End a job whose loop was never ended: at the end of the interpreter."""
        loop = None if self._loop is None else self._loop()
        if loop is not None:
            with contextlib.suppress(ValueError):  # it is running, in another thread
                loop.close()
        with contextlib.suppress(LeaseLost):  # it has been reported
            self.conclude(None, exhausted=False)

    def in_forked_child(self) -> Lease | None:
        """Do nothing more in the child, but for the token; return the parent's connection."""
        self._heartbeat = None
        self._line = None
        self._lock = threading.Lock()
        return self.recorder.in_forked_child()


def _is_cancel(error: BaseException) -> bool:
    return isinstance(error, JobCancelled) and not isinstance(error, LeaseLost)


def _print_end(run: JobRun, word: str) -> None:
    """Print how a run ended, with its id and the way to go on, where there is something to say."""
    line = end_line(
        clean(run.name),
        run.public_id,
        word,
        run.failed,
        run.total,
        keyed=run.keyed,
        startable=run.startable,
        continues=run.continuable,
    )
    if line is not None:
        print_line(f"jobdash: {line}")
