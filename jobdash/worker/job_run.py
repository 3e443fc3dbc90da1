"""One attempt at a job in this process, from its claim to its end."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from types import FrameType
from typing import Any, NamedTuple
from weakref import ref

from jobdash.domain.text import clean
from jobdash.store.claims import Claim, ClaimRequest
from jobdash.store.continuation import AUTO, MODES, NEVER, CannotResumeError, WorkIdentity
from jobdash.store.leases import ItemWrite, Lease, LeaseRefused
from jobdash.store.owner import current_owner
from jobdash.worker import job_context, process_hooks, script, settings, signals
from jobdash.worker.announcements import begin_line, end_line
from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import JobCancelled, LeaseLost
from jobdash.worker.exit_status import (
    LoopInstruction,
    cancelled_sentence,
    exit_outcome,
    instruction,
    so_far,
    uncaught,
)
from jobdash.worker.heartbeat import Heartbeat
from jobdash.worker.item_encoding import DETAIL_BYTES
from jobdash.worker.progress_line import ProgressLine, ProgressState, shown_here
from jobdash.worker.recorder import PATIENCE_MS, Recorder
from jobdash.worker.reentrancy import defer
from jobdash.worker.signals import uninterrupted
from jobdash.worker.stderr import print_line
from jobdash.worker.store_connection import sentence

COUNTS_FLUSH_S = 0.2
"""How often the counts of a loop without keys are written, when nobody says otherwise."""
PATIENCE_ON_A_LOOP_MS = 50
"""The same as `PATIENCE_MS` where an event loop would stand still meanwhile."""
_MOST_UNWRITTEN = 1_000
"""Outcomes of a flush interval that are written at once, interval or not."""


class TrackOptions(NamedTuple):
    """What `jobdash.track` was asked for."""

    name: str
    keyed: bool
    total: int | None
    unit: str
    flush_s: float | None
    metadata: dict[str, str]
    tags: dict[str, str]
    db: str | os.PathLike[str] | None
    progress: bool
    on_a_loop: bool = False
    script: str | None = None
    """The whole path of the script, for a job without a name of its own."""
    resume: str = AUTO
    work: WorkIdentity | None = None
    given: tuple[object, ...] = ()
    keys: Callable[[], Iterable[str]] | None = None
    """Gives the keys of the run, where they can be looked at ahead."""
    detail_bytes: int = DETAIL_BYTES
    go_on: bool = False
    """A cancel ends the loop or block, and the script goes on behind it."""
    thread: int | None = None
    """The thread that asked for it."""


class JobRun:
    """The counts, the token, and everything that has to begin and end with a job.

    In a forked child it neither writes nor says anything.
    """

    def __init__(self, asked: TrackOptions) -> None:
        self.token = Token(asked.thread)
        self.name = asked.name
        self.unit = asked.unit
        self.keyed = asked.keyed
        self.total = asked.total
        self.succeeded = 0
        self.failed = 0
        self.before = 0
        """What earlier attempts had done."""
        self.public_id: str | None = None  # as long as there is no store to record it in
        self.word: str | None = None
        """How it ended: ``completed``, ``cancelled``, ``failed``, ``lost``; None while it runs."""
        self.detail_bytes = asked.detail_bytes
        self.on_a_loop = asked.on_a_loop
        """Under asyncio tasks look at the token: a cancel raised in one ends the program."""
        self._asked = asked
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._recorder = Recorder(self.token, PATIENCE_ON_A_LOOP_MS if asked.on_a_loop else PATIENCE_MS)
        self._line: ProgressLine | None = None
        self._keeper: Heartbeat | None = None
        self._flush_s = asked.flush_s if asked.flush_s is not None else (0 if asked.keyed else COUNTS_FLUSH_S)
        self._begun = False
        self._startable = False
        self._left_at: LoopInstruction | None = None
        self._all_given = False
        self._end_as: tuple[str, str] | None = None
        self._loop: ref[Generator[Any, None, None]] | None = None

    @property
    def recorder(self) -> Recorder:
        """The store's side."""
        return self._recorder

    @property
    def done(self) -> int:
        """Items with an outcome, in all attempts."""
        return self.succeeded + self.failed

    @property
    def told_to_end(self) -> bool:
        """Whether it runs in this process and was told to stop."""
        return self.token.stopped and self.word is None and self._pid == os.getpid()

    def begin(self) -> None:
        """Claim the job and start the thread beside it.

        `conclude` has to be called even if this is interrupted; another thread may do so meanwhile. Raises
        `CannotResumeError` when the job that was named cannot be continued.
        """
        process_hooks.prepare_process()
        process_hooks.end_interrupted()
        process_hooks.live.add(self)
        lease_ms = settings.LEASE_MS
        try:
            found = settings.read(self._asked.db)
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
        if self._asked.progress and settings.progress_wanted() and shown_here():
            self._line = ProgressLine(self.name, self.unit)
        with self._lock:
            if self._end_as is None:
                self._start_keeper(lease_ms)

    def _start_keeper(self, lease_ms: int) -> None:
        self._keeper = Heartbeat(self._recorder, self._flush_s, lease_ms / 1000, self._draw)
        # At the end of the interpreter no thread can be started; what there is to write waits for the end.
        with contextlib.suppress(RuntimeError):
            self._keeper.start()

    def listen(self) -> None:
        """Let Ctrl-C and SIGTERM cancel it; in the thread that is to hear them."""
        signals.listen(self.token)

    def listen_no_more(self) -> None:
        """Give Ctrl-C and SIGTERM back."""
        signals.listen_no_more(self.token)

    def _claim(self, found: settings.WorkerSettings) -> None:
        asked = self._asked
        want = ClaimRequest(
            name=asked.name,
            owner=current_owner(),
            actor=script.user_at_host(),
            keyed=asked.keyed,
            lease_ms=found.lease_ms,
            total=asked.total,
            unit=asked.unit,
            public_id=found.job,
            fence=found.fence,
            argv=script.command_line(),
            cwd=script.folder(),
            log_file=found.log_file,
            metadata=asked.metadata,
            tags=asked.tags,
            script=asked.script,
            work=asked.work
            and script.in_its_turn(asked.work, asked.name, job_context.current_items(), asked.given),
            resume=asked.resume,
            keys=asked.keys,
        )
        got = self._recorder.begin(found.database, want, None if asked.keyed else self._counts)
        if found.job is not None and (got is None or got.public_id == found.job):
            # It was meant for one job: this script may begin others, and so may the processes it starts.
            os.environ.pop(settings.JOB, None)
        if got is not None:
            self._claimed(got, found)

    def _claimed(self, got: Claim, found: settings.WorkerSettings) -> None:
        self.public_id = got.public_id
        if self._asked.resume not in MODES:
            self.name = got.name
        self.succeeded, self.failed, self.total = got.succeeded, got.failed, got.total
        self.before = self.done
        self.token.belongs_to(found.database, got.job_id, got.fence)
        self.token.known_as = f"job {clean(self.name)} ({got.public_id})"
        self._startable = script.command_line() is not None
        line = begin_line(clean(self.name), self.keyed, got)
        if line is not None:
            print_line(f"jobdash: {line}")

    def _counts(self) -> tuple[int, int]:
        return self.succeeded, self.failed

    def _draw(self) -> None:
        if self._line is not None:
            self._line.draw(self.progress())

    def progress(self) -> ProgressState:
        """Return how far it is."""
        return ProgressState(self.succeeded, self.failed, self.total, self.before)

    def count_passed(self, number: int) -> None:
        """Count items as done that nobody entered, or take that back."""
        with self._lock:
            self.succeeded += number

    def count_anew(self) -> None:
        """Begin to count from nothing."""
        with self._lock:
            self.succeeded = self.failed = 0

    def know_total(self, total: int) -> None:
        """Take note that the iterable had so many items, whatever was said before."""
        if self.total != total:
            self.total = total
            self._recorder.set_total(total)

    def remark(self, what: str) -> None:
        """Say something about the run, but not once more in a forked child."""
        if self._pid == os.getpid():
            print_line(f"jobdash: {what}")

    def count(self, outcome: str, kept: ItemWrite | None) -> None:
        """Count what became of an item and, where it has a key, keep it.

        Raises `LeaseLost` when the store refuses it.
        """
        with self._lock:
            if outcome == "error":
                self.failed += 1
            else:
                self.succeeded += 1
        if kept is None or not self._recorder.recording:
            self._raise_if_lost()
            return
        if self._recorder.keep(kept) >= _MOST_UNWRITTEN or not self._flush_s:
            self._recorder.flush()
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self.token.lost is not None:
            raise self.token.stop()

    def stop(self) -> JobCancelled:
        """Return the exception that ends the loop, with what is done so far in its message."""
        return self.token.stop(cancelled_sentence(self.done, self.total))

    @uninterrupted
    def conclude(self, error: BaseException | None, exhausted: bool) -> None:
        """End the job as ``error`` (what left the block or the loop) says; None: it was left without one.

        Raises `LeaseLost` when the job turns out to be no longer ours, and ``error`` says nothing else.
        """
        self.token.ending = True
        word, ended = exit_outcome(error, exhausted, so_far(self.done, self.total))
        with self._lock:
            if self._end_as is not None:
                return
            self._end_as = word, ended
            if not self._begun:  # the thread that claims ends what it gets
                return
        self._end(word, ended)
        is_cancel = isinstance(error, JobCancelled) and not isinstance(error, LeaseLost)
        if self.token.lost is not None and (error is None or is_cancel):
            raise self.token.stop()

    def _end(self, word: str, ended: str) -> None:
        if defer(partial(self._end, word, ended)):
            return
        try:
            if self._keeper is not None:
                self._keeper.stop()
            self.write_end()
        finally:
            self.listen_no_more()
        if self._pid != os.getpid():
            return
        if self._recorder.cancelled_elsewhere:
            word = "cancelled"
        if self._line is not None:
            self._line.draw(self.progress(), last=True, public_id=self.public_id)
        self._announce(word)

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
                self._recorder.end(word, ended, ended if word == "failed" else None)
        except LeaseRefused as refused:
            self._recorder.refused(refused)
        # Not in the middle of a statement, which the end comes behind. And a fork must not come between an
        # open connection and this.
        if not self._recorder.recording:
            process_hooks.live.discard(self)

    def _announce(self, word: str) -> None:
        if self.token.lost is not None:
            self.word = "lost"
            print_line(f"jobdash: {self.token.known_as} {self.token.lost}, exiting")
            return
        self.word = word
        if word == "cancelled" and self.token.stopped:
            print_line(cancelled_sentence(self.done, self.total))
        is_news = word != "cancelled" or self.token.stopped
        line = end_line(
            clean(self.name),
            self.public_id if is_news or self.failed else None,
            word,
            self.failed,
            self.total,
            keyed=self.keyed,
            startable=self._startable,
            continues=self._asked.work is not None and self._asked.resume != NEVER,
        )
        if line is not None:
            print_line(f"jobdash: {line}")

    def goes_on(self, error: BaseException | None = None) -> bool:
        """Whether the script goes on behind a cancel; ``error`` is what left the loop or block, if anything.

        Never when a job around this one is to end too: the item that it is at is not done.
        """
        is_cancel = error is None or (isinstance(error, JobCancelled) and not isinstance(error, LeaseLost))
        return self._asked.go_on and is_cancel and self.token.lost is None and not job_context.is_cancelled()

    def runs_in(self, loop: ref[Generator[Any, None, None]]) -> None:
        """Name the generator of a plain loop, by whose end the run ends."""
        self._loop = loop

    def leave(self, error: BaseException | None, given: int, at: FrameType | None) -> None:
        """End a plain loop that was left, ``at`` the frame that looped.

        ``error`` is the exception that is being handled, if there is one. ``given`` is how many items were
        given out. A loop that has given out all of them is completed: `zip` asks for no more than it needs.
        """
        self._all_given = error is None and not self.token.stopped and given > 0 and given == self.total
        if self._all_given:
            self.succeeded = given
        self._left_at = instruction(at)
        with contextlib.suppress(LeaseLost):  # it has been reported
            self.conclude(error, exhausted=self._all_given)
        if self.word == "completed" or (self.word == "cancelled" and not self.token.stopped):
            process_hooks.left.append(self)

    def fail_if_uncaught(self) -> None:
        """End a loop that was left as failed, when the exception that has ended the script came from it.

        While an exception goes up, nothing tells the loop of it; at the end of the script Python knows.
        """
        error = uncaught(self._left_at)
        word, ended = exit_outcome(error, False, so_far(self.done, self.total))
        if word == "failed" and self._pid == os.getpid():
            self._recorder.fail_after_all(ended, self.succeeded - self._all_given)

    def abandon(self) -> None:
        """End a job whose loop was never ended: at the end of the interpreter."""
        loop = None if self._loop is None else self._loop()
        if loop is not None:
            with contextlib.suppress(ValueError):  # it is running, in another thread
                loop.close()
        with contextlib.suppress(LeaseLost):  # it has been reported
            self.conclude(None, exhausted=False)

    def before_fork(self) -> None:
        """Let no transaction be under way while the process is doubled."""
        self._recorder.before_fork()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._recorder.after_fork()

    def in_forked_child(self) -> Lease | None:
        """Do nothing any more in the child, but for the token."""
        self._keeper = None
        self._line = None
        self._lock = threading.Lock()
        return self._recorder.in_forked_child()
