"""The plan of a batch: frozen specifications that everything else is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """The phase of a batch, in OpenAI's words; each API translates them to its own."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self in _TERMINAL


_TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.EXPIRED, Phase.CANCELLED})


class Ending(StrEnum):
    """How a batch ends when it is not cancelled."""

    COMPLETES = "completes"
    FAILS = "fails"
    """Refused after validation: see `BatchPlan.line_errors`."""
    EXPIRES = "expires"
    """Works until its window closes, and has then processed `BatchPlan.reached` requests."""
    STALLS = "stalls"
    """Processes `BatchPlan.reached` requests, and then no more until its window closes."""


class CancelBehaviour(StrEnum):
    """What a cancel leads to."""

    WORKS = "works"
    LOSES_RACE = "loses_race"
    """Accepted, and yet the batch ends completed."""
    STICKS = "sticks"
    """Accepted, and never confirmed."""


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """`count` requests of a batch that fail for the same reason."""

    count: int
    code: str = "rate_limit_exceeded"
    message: str = "Rate limit reached. Please try again later."
    status: int = 429


ERROR_MARK = "emulate-error"
CUT_OFF_MARK = "emulate-cut-off"


@dataclass(frozen=True, slots=True)
class MarkedRequests:
    """The requests of a batch that ask by their key to go wrong, by their index; OpenAI's API only.

    Where all requests of a batch do, none goes wrong: that is how a retry of them succeeds.
    """

    failing: tuple[int, ...] = ()
    cut_off: frozenset[int] = frozenset()


def read_marks(ids: Sequence[str]) -> MarkedRequests:
    """Return which requests ask to go wrong: their key holds `ERROR_MARK`, or `CUT_OFF_MARK`."""
    failing = tuple(index for index, key in enumerate(ids) if ERROR_MARK in key)
    cut_off = frozenset(index for index, key in enumerate(ids) if CUT_OFF_MARK in key).difference(failing)
    if len(failing) + len(cut_off) == len(ids):
        return MarkedRequests()
    return MarkedRequests(failing, cut_off)


@dataclass(frozen=True, slots=True)
class LineError:
    """The result of validation for one line of an input file (or, without a line, about the whole of it)."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long each phase lasts, in seconds of the emulator's clock; `math.inf` means for ever."""

    validating: float = 5.0
    running: float = 60.0
    finalizing: float = 5.0
    cancelling: float = 10.0
    expires_after: float | None = None
    """From creation; None is the provider's own window (OpenAI 24 h, Gemini 48 h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Ways in which real servers differ from their documentation; all off by default."""

    cancel: CancelBehaviour = CancelBehaviour.WORKS
    cancel_refusal: int | None = None
    """The HTTP status that answers a cancel of a finished batch; None is 409 at OpenAI, 400 elsewhere."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Other status words on the wire, by phase: `{Phase.VALIDATING: "scheduling"}`."""
    null_counts: bool = False
    """No counts: `request_counts` is null, Gemini's `batchStats` is left out."""
    keep_partial: bool | None = None
    """Whether results survive a cancel or an expiry; None is the provider's habit (OpenAI yes, Gemini no)."""
    shuffled: bool = False
    """Results are in another order than the requests."""
    body_as_string: bool = False
    """The body in an OpenAI result line is a string of JSON instead of an object."""
    no_trailing_newline: bool = False
    garbage_lines: bool = False
    """A blank line and one that is no JSON are among the results."""
    odd_keys: bool = False
    """Of the answers the first comes twice, the second under a key that no request has, the third never."""
    results_kept: float | None = None
    """So many seconds after a batch has ended its results are deleted, which its files say at OpenAI. At
    Anthropic after its creation; None is 29 days there. Not at Gemini."""
    nameless_failures: bool = False
    """Mistral only: failed lines have no `custom_id`."""
    not_found_for: float = 0.0
    """Anthropic only: so many seconds from its creation, and again from its end, a batch is not found."""
    detail_objects: bool = False
    """Gemini's errors carry `details`, a list of objects where the SDK expects strings."""
    output_only_in_response: bool = False
    """Gemini has the output in the operation's `response` only, not in `metadata.output`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBehaviour:
    """Ways in which a list of batches can be wrong."""

    repeat_page: bool = False
    """Every page is the first one again, and there is always another."""
    empty_pages: int = 0
    """So many empty pages come first, each with a token for the next one. Gemini only: OpenAI's cursor is a
    batch. The SDK survives one of them, and not two.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How a batch will go, from its creation to its end."""

    timing: Timing = field(default_factory=Timing)
    ending: Ending = Ending.COMPLETES
    failures: tuple[BatchFailure, ...] = ()
    cut_off: int = 0
    """So many of the answers end at their greatest length."""
    answer_size: int = 0
    """Characters of an answer's text at least."""
    reached: int | None = None
    """How many requests are processed at most, for the endings that leave some; None is all."""
    line_errors: tuple[LineError, ...] = ()
    switches: Switches | None = None
    """None: the provider's own `switches` at the time of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScript:
    """One batch to put straight into an emulator, in any state and of any age."""

    name: str = ""
    model: str = "model-x"
    total: int = 100
    endpoint: str = "/v1/chat/completions"
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: float | None = None
    """Seconds since the epoch; None is now."""
    cancelled_at: float | None = None
    """When its cancel was asked for, in seconds since the epoch."""
    inline: bool = False
    """Gemini and Mistral: requests and results are in the batch itself, not in files."""
    plan: BatchPlan = field(default_factory=BatchPlan)

    @property
    def shown_metadata(self) -> dict[str, object] | None:
        """Its metadata with its name, as APIs without names show it; None for nothing."""
        named = {"name": self.name} if self.name else {}
        return {**self.metadata, **named} or None
