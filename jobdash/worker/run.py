"""One attempt at a job in this process, from its claim to its end."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from functools import cache
from typing import NamedTuple

from jobdash.domain.text import clean
from jobdash.errors import JobdashError
from jobdash.store.claim import Claimed, Wanted
from jobdash.store.fence import Hold, Outcome, Refused
from jobdash.store.owner import current_owner
from jobdash.worker import script, settings, signals
from jobdash.worker.keeper import Keeper
from jobdash.worker.keeping import sentence_of
from jobdash.worker.progress_line import Progress, ProgressLine, shown_here
from jobdash.worker.recorder import PATIENCE_MS, Recorder
from jobdash.worker.saying import say
from jobdash.worker.stopping import JobCancelled, LeaseLost
from jobdash.worker.token import Token

COUNTS_FLUSH_S = 0.2
"""How often the counts of a loop without keys are written, when nobody says otherwise."""
PATIENCE_ON_A_LOOP_MS = 50
"""The same as `PATIENCE_MS` where an event loop would stand still meanwhile."""
_MOST_UNWRITTEN = 1_000
"""Outcomes of a flush interval that are written at once, interval or not."""
_live: set[Run] = set()
_forking: list[Run] = []
_left_alone: list[Hold] = []
"""Connections of a parent process: closing one in a child could disturb the parent's."""


class Asked(NamedTuple):
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


class Run:
    """The counts, the token, and everything that has to begin and end with a job.

    In a forked child it neither writes nor says anything.
    """

    def __init__(self, asked: Asked) -> None:
        self.token = Token()
        self.name = asked.name
        self.unit = asked.unit
        self.keyed = asked.keyed
        self.total = asked.total
        self.succeeded = 0
        self.failed = 0
        self.before = 0
        """What earlier attempts had done."""
        self.public_id: str | None = None
        """None when there is no store to record it in."""
        self.word: str | None = None
        """How it ended: ``completed``, ``cancelled``, ``failed``; None while it runs or when it was lost."""
        self._asked = asked
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._recorder = Recorder(self.token, PATIENCE_ON_A_LOOP_MS if asked.on_a_loop else PATIENCE_MS)
        self._line: ProgressLine | None = None
        self._keeper: Keeper | None = None
        self._flush_s = asked.flush_s if asked.flush_s is not None else (0 if asked.keyed else COUNTS_FLUSH_S)
        self._ended = False

    @property
    def recorder(self) -> Recorder:
        """The store's side."""
        return self._recorder

    @property
    def done(self) -> int:
        """Items with an outcome, in all attempts."""
        return self.succeeded + self.failed

    def begin(self) -> None:
        """Claim the job and start the thread beside it."""
        lease_ms = settings.LEASE_MS
        try:
            found = settings.read(self._asked.db)
        except JobdashError as error:
            say(f"jobdash: {error} The loop runs on; nothing of it is recorded.")
        else:
            lease_ms = found.lease_ms
            self._claim(found)
        if self._asked.progress and settings.progress_wanted() and shown_here():
            self._line = ProgressLine(self.name, self.unit)
        _prepare_process()
        _live.add(self)
        self._keeper = Keeper(self._recorder, self._flush_s, lease_ms / 1000, self._draw)
        self._keeper.start()

    def listen(self) -> None:
        """Let Ctrl-C and SIGTERM cancel it; in the thread that is to hear them."""
        signals.listen(self.token)

    def listen_no_more(self) -> None:
        """Give Ctrl-C and SIGTERM back."""
        signals.listen_no_more(self.token)

    def _claim(self, found: settings.Settings) -> None:
        asked = self._asked
        want = Wanted(
            name=asked.name,
            owner=current_owner(),
            actor=script.user_at_host(),
            keyed=asked.keyed,
            lease_ms=found.lease_ms,
            total=asked.total,
            unit=asked.unit,
            public_id=found.job,
            argv=script.command_line(),
            cwd=script.folder(),
            log_file=found.log_file,
            metadata=asked.metadata,
            tags=asked.tags,
        )
        got = self._recorder.begin(found.database, want, None if asked.keyed else self._counts)
        if got is not None:
            self._claimed(got, found)

    def _claimed(self, got: Claimed, found: settings.Settings) -> None:
        self.public_id = got.public_id
        self.succeeded, self.failed, self.total = got.succeeded, got.failed, got.total
        self.before = self.done
        self.token.belongs_to(found.database, got.job_id, got.fence)
        if got.other_pid is not None:
            say(f"jobdash: another run of {self.name} is active, pid {got.other_pid}; this one is a new job")

    def _counts(self) -> tuple[int, int]:
        return self.succeeded, self.failed

    def _draw(self) -> None:
        if self._line is not None:
            self._line.draw(self.progress())

    def progress(self) -> Progress:
        """Return how far it is."""
        return Progress(self.succeeded, self.failed, self.total, self.before)

    def count(self, outcome: str, kept: Outcome | None) -> None:
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
        stop = self.token.stop()
        return stop if isinstance(stop, LeaseLost) else JobCancelled(self._cancelled_sentence())

    def _so_far(self) -> str:
        return f"{self.done:,}" + (f" of {self.total:,}" if self.total is not None else "")

    def _left_at(self) -> str:
        return f"loop left at {self._so_far()}"

    def _cancelled_sentence(self) -> str:
        if self.total is None:
            return f"Job was cancelled: {self.done:,} done"
        rest = max(0, self.total - self.done)
        return f"Job was cancelled: {self.done:,} of {self.total:,} done, {rest:,} not processed"

    def conclude(self, error: BaseException | None, exhausted: bool) -> None:
        """End the job as ``error`` (what left the block or the loop) says; None: it was left without one.

        Raises `LeaseLost` when the job turns out to be no longer ours, and ``error`` says nothing else.
        """
        if self._ended:
            return
        word, ended = self._verdict(error, exhausted)
        self._end(word, ended)
        if self.token.lost is not None and (error is None or type(error) is JobCancelled):
            raise self.token.stop()

    def _verdict(self, error: BaseException | None, exhausted: bool) -> tuple[str, str]:
        if error is None:
            return ("completed", f"{self._so_far()} done") if exhausted else ("cancelled", self._left_at())
        if isinstance(error, JobCancelled):
            return "cancelled", f"cancelled at {self._so_far()}"
        if isinstance(error, Exception) or (isinstance(error, SystemExit) and error.code not in {None, 0}):
            return "failed", sentence_of(error)
        by = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        return "cancelled", f"{self._left_at()}: {by}"

    def _end(self, word: str, ended: str) -> None:
        self._ended = True
        self.listen_no_more()
        if self._keeper is not None:
            self._keeper.stop()
        _live.discard(self)
        if self._pid != os.getpid():
            return
        try:
            if self.token.lost is None:
                self._recorder.end(word, ended, ended if word == "failed" else None)
        except Refused as refused:
            self._recorder.refused(refused)
        finally:
            self._recorder.let_go()
        if self._recorder.cancelled_elsewhere:
            word = "cancelled"
        if self._line is not None:
            self._line.draw(self.progress(), last=True)
        self._tell(word)

    def _tell(self, word: str) -> None:
        if self.token.lost is not None:
            known_as = f" ({self.public_id})" if self.public_id else ""
            say(f"jobdash: job {clean(self.name)}{known_as} {self.token.lost}, exiting")
            return
        self.word = word
        if word == "cancelled" and self.token.stopped:
            say(self._cancelled_sentence())

    def abandon(self) -> None:
        """End a job whose loop was never ended: at the end of the interpreter."""
        with contextlib.suppress(LeaseLost):  # it has been said
            self.conclude(None, exhausted=False)

    def before_fork(self) -> None:
        """Let no transaction be under way while the process is doubled."""
        self._recorder.before_fork()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._recorder.after_fork()

    def in_forked_child(self) -> Hold | None:
        """Do nothing any more in the child, but for the token."""
        self._keeper = None
        self._line = None
        self._lock = threading.Lock()
        return self._recorder.in_forked_child()


@cache
def _prepare_process() -> None:
    """Hang on to the end of the interpreter and to forks, once a process."""
    atexit.register(_abandon_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _abandon_all() -> None:
    for run in list(_live):
        run.abandon()


def _before_fork() -> None:
    _forking[:] = _live
    for run in _forking:
        run.before_fork()


def _after_fork() -> None:
    for run in _forking:
        run.after_fork()


def _in_child() -> None:
    signals.in_forked_child()
    for run in _forking:
        hold = run.in_forked_child()
        if hold is not None:
            _left_alone.append(hold)
    _live.clear()
