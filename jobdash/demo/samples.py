"""The sample jobs of the demo: several accounts of a busy person, with jobs in every state and of any age."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from jobdash.demo.emulator import (
    ANTHROPIC_KEY,
    GEMINI_KEY,
    MISTRAL_KEY,
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Emulator,
    Ending,
    LineError,
    Phase,
    Switches,
    Timing,
)
from jobdash.domain.cost import ListPrice

WORK_KEY = "sk-emulated-work"
KEYS = {
    "openai": OPENAI_KEY,
    "gemini": GEMINI_KEY,
    "work": WORK_KEY,
    "anthropic": ANTHROPIC_KEY,
    "mistral": MISTRAL_KEY,
}
"""The key of each account; "work" is on a server that only resembles OpenAI's."""

PRICES = {
    "gpt-x": ListPrice(input=1.0, output=4.0, cached=0.25),
    "gpt-x-mini": ListPrice(input=0.2, output=0.8, cached=0.05),
    "embed-x": ListPrice(input=0.01, output=0.0),
    "gemini-x-flash": ListPrice(input=0.15, output=1.25),
    "gemini-x-pro": ListPrice(input=0.625, output=5.0),
    "gemini-x-embedding": ListPrice(input=0.075, output=0.0),
    "claude-x": ListPrice(input=1.5, output=7.5, cached=0.15),
    "mistral-x": ListPrice(input=0.2, output=0.6),
}
"""Of the emulator's models, which no price list has."""

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

VALIDATING = 20.0
"""Seconds that the validation of a sample takes, unless it is what the sample shows."""
WORKED = 30 * MINUTE
"""Seconds a cancelled sample ran before its cancel was asked for."""

RATE_LIMIT = "Rate limit reached for requests. Please try again in 20 s."
BROKEN_IMAGE = "The image could not be read: unsupported or damaged file."
TOO_LONG = "This model's maximum context length is 128000 tokens."
OVERLOADED = "The model is overloaded. Please try again later."

LONG_NAME = (
    "quarterly customer interviews, all regions, second pass with the corrected speaker labels, "
    "without the ones that legal asked us to leave out (see the ticket), summaries and action items"
)


LINE_ERRORS = (
    LineError("invalid_json_line", "This line is not parseable as valid JSON.", line=17),
    LineError("missing_required_parameter", "Missing required parameter: 'body'.", line=203, param="body"),
    LineError(
        "duplicate_custom_id",
        "The custom_id for this request is a duplicate of another request. "
        "The custom_id parameter must be unique for each request in a batch.",
        line=1_118,
        param="custom_id",
    ),
)
QUEUE_FULL = (
    LineError("token_limit_exceeded", "Enqueued token limit reached for gpt-x. Limit: 2,000,000 tokens."),
)


UNCONFIRMED_TOTAL, UNCONFIRMED_AGE = 2_000, 8 * HOUR
"""The requests of a submit that got no answer, and its age: two batches at Anthropic may be its own."""


def plan_submitted(emulator: Emulator) -> None:
    """Let batches that are submitted take about three minutes, whatever their size."""
    plan = BatchPlan(timing=Timing(validating=8, running=3 * MINUTE, finalizing=6, cancelling=25))
    for provider in (*emulator.providers, *emulator.profiles.values()):
        provider.plan = plan


def seed_emulator(emulator: Emulator, now: float) -> None:
    """Add the samples in their states at `now` (seconds since the epoch); they proceed from there.

    Batches submitted in the demo take about three minutes.
    """
    plan_submitted(emulator)
    for script in _personal(now):
        emulator.openai.add_batch(script, key=OPENAI_KEY)
    for script in _work(now):
        emulator.openai.add_batch(script, key=WORK_KEY)
    for script in _gemini(now):
        emulator.gemini.add_batch(script, key=GEMINI_KEY)
    for script in _anthropic(now):
        emulator.anthropic.add_batch(script, key=ANTHROPIC_KEY)
    for script in _mistral(now):
        emulator.mistral.add_batch(script, key=MISTRAL_KEY)


@dataclass(frozen=True)
class _SampleMaker:
    """Makes samples. All ages and durations are in seconds; an age counts back from `now`."""

    now: float
    model: str
    switches: Switches | None = None

    def pending(self, name: str, total: int, *, age: float, left: float) -> BatchScript:
        """Not started: at OpenAI still being validated."""
        return self._script(name, total, age, BatchPlan(timing=Timing(validating=age + left, running=HOUR)))

    def moving(
        self, name: str, total: int, *, age: float, left: float, failures: tuple[BatchFailure, ...] = ()
    ) -> BatchScript:
        """Under way, and done after another `left` seconds."""
        timing = Timing(validating=VALIDATING, running=age - VALIDATING + left, cancelling=40)
        return self._script(name, total, age, BatchPlan(timing=timing, failures=failures))

    def finalizing(self, name: str, total: int, *, age: float, left: float) -> BatchScript:
        """Every request has its result; the output file is still being written."""
        timing = Timing(validating=VALIDATING, running=age - VALIDATING - MINUTE, finalizing=MINUTE + left)
        return self._script(name, total, age, BatchPlan(timing=timing))

    def stalled(self, name: str, total: int, *, age: float, reached: int) -> BatchScript:
        """Still running by its word, though nothing has happened for long."""
        timing = Timing(validating=VALIDATING, running=HOUR, cancelling=40)
        return self._script(name, total, age, BatchPlan(timing=timing, ending=Ending.STALLS, reached=reached))

    def cancelling(self, name: str, total: int, *, asked: float, left: float, done: int) -> BatchScript:
        """A cancel was asked for `asked` seconds ago; without end if `left` is infinite."""
        sticks = math.isinf(left)
        switches = Switches(cancel=CancelBehaviour.STICKS) if sticks else self.switches
        timing = _cut_short(total, done, 0.0 if sticks else asked + left)
        return self._script(
            name, total, asked + VALIDATING + WORKED, BatchPlan(timing=timing, switches=switches), asked=asked
        )

    def completed(
        self, name: str, total: int, *, age: float, failures: tuple[BatchFailure, ...] = (), cut_off: int = 0
    ) -> BatchScript:
        """Over, in three quarters of an hour, or of its age if that is less."""
        timing = Timing(validating=VALIDATING, running=0.75 * min(HOUR, age))
        plan = BatchPlan(timing=timing, failures=failures, cut_off=cut_off)
        return self._script(name, total, age, plan)

    def failed(self, name: str, total: int, *, age: float, errors: tuple[LineError, ...]) -> BatchScript:
        """Did not pass validation."""
        return self._script(name, total, age, BatchPlan(ending=Ending.FAILS, line_errors=errors))

    def expired(self, name: str, total: int, *, age: float, done: int) -> BatchScript:
        """Not finished within its window."""
        return self._script(name, total, age, BatchPlan(ending=Ending.EXPIRES, reached=done))

    def cancelled(
        self, name: str, total: int, *, age: float, done: int, failures: tuple[BatchFailure, ...] = ()
    ) -> BatchScript:
        """Cancelled after half an hour, with `done` requests processed."""
        plan = BatchPlan(timing=_cut_short(total, done, MINUTE), failures=failures)
        return self._script(name, total, age, plan, asked=age - VALIDATING - WORKED)

    def _script(
        self, name: str, total: int, age: float, plan: BatchPlan, *, asked: float | None = None
    ) -> BatchScript:
        if plan.switches is None:
            plan = replace(plan, switches=self.switches)
        return BatchScript(
            name=name,
            model=self.model,
            total=total,
            created_at=self.now - age,
            cancelled_at=None if asked is None else self.now - asked,
            plan=plan,
        )


def _cut_short(total: int, done: int, cancelling: float) -> Timing:
    """A pace at which `done` of `total` requests are processed when the cancel comes."""
    # Half a request more, lest rounding lose the last one.
    running = WORKED * total / (done + 0.5)
    return Timing(validating=VALIDATING, running=running, cancelling=cancelling)


def _personal(now: float) -> Iterable[BatchScript]:
    """The account "openai"."""
    make = _SampleMaker(now, "gpt-x")
    mini = _SampleMaker(now, "gpt-x-mini")
    embed = _SampleMaker(now, "embed-x")
    images = (BatchFailure(9, message=RATE_LIMIT), BatchFailure(3, "invalid_image", BROKEN_IMAGE, 400))
    yield make.moving("nightly-eval", 10_000, age=2 * HOUR, left=72.5 * MINUTE, failures=(BatchFailure(20),))
    yield mini.moving("rewrite-headlines", 900, age=7 * MINUTE, left=3 * MINUTE)
    yield mini.moving("商品説明の翻訳 2026年11月", 3_200, age=16 * MINUTE, left=24 * MINUTE)
    yield make.pending("reindex-faq", 1_500, age=15, left=75)
    yield replace(
        embed.finalizing("embed-products", 25_000, age=50 * MINUTE, left=4 * MINUTE),
        endpoint="/v1/embeddings",
    )
    yield make.cancelling("catalogue-tags", 1_000, asked=40, left=2 * MINUTE, done=120)
    yield make.cancelling("ledger-cleanup", 6_000, asked=26 * MINUTE, left=math.inf, done=2_310)
    yield make.completed(
        "summaries-v2", 10_000, age=26 * HOUR, failures=(BatchFailure(31, message=RATE_LIMIT),), cut_off=312
    )
    yield make.completed(
        "summaries-v1",
        10_000,
        age=27 * HOUR,
        failures=(BatchFailure(10_000, "context_length", TOO_LONG, 400),),
    )
    yield mini.completed("caption-photos", 2_400, age=9 * HOUR, failures=images)
    yield mini.completed("eval-smoke", 50, age=25 * HOUR)
    yield mini.completed("[/] [bold]not markup[/bold] \\[x]", 64, age=30 * HOUR)
    yield make.completed(LONG_NAME, 480, age=2 * DAY)
    yield mini.completed("", 20, age=4 * DAY)
    yield make.failed("ticket-routing", 1_200, age=5 * HOUR, errors=LINE_ERRORS)
    yield make.expired("weekly-digest", 12_000, age=3 * DAY, done=8_800)
    yield make.cancelled("sentiment-q3", 2_000, age=2 * DAY + HOUR, done=655, failures=(BatchFailure(20),))


def _work(now: float) -> Iterable[BatchScript]:
    """The account "work": its server has a word of its own for waiting."""
    make = _SampleMaker(now, "gpt-x", Switches(words={Phase.VALIDATING: "scheduling"}))
    silent = _SampleMaker(now, "gpt-x", Switches(null_counts=True))
    yield make.moving("crm-dedupe", 7_500, age=35 * MINUTE, left=9 * MINUTE, failures=(BatchFailure(4),))
    yield make.moving("invoice-fields", 18_000, age=3 * HOUR, left=2 * HOUR)
    yield silent.moving("onboarding-mails", 350, age=6 * MINUTE, left=30 * MINUTE)
    yield make.pending("support-triage", 4_200, age=3 * MINUTE, left=HOUR)
    yield make.pending("churn-reasons", 1_100, age=40, left=4 * MINUTE)
    yield make.completed("labels-batch-07", 4_000, age=4 * DAY)
    yield make.completed("labels-batch-06", 4_000, age=4 * DAY + 2 * HOUR)
    yield make.completed(
        "labels-batch-05", 4_000, age=5 * DAY, failures=(BatchFailure(10, message=RATE_LIMIT),)
    )
    yield make.failed("contract-clauses", 900, age=8 * HOUR, errors=QUEUE_FULL)
    yield make.cancelled("résumé-parsing (naïve)", 600, age=3 * DAY, done=0)


def _gemini(now: float) -> Iterable[BatchScript]:
    """The account "gemini"."""
    make = _SampleMaker(now, "gemini-x-flash")
    pro = _SampleMaker(now, "gemini-x-pro")
    overloaded = BatchFailure(6, "unavailable", OVERLOADED, 503)
    yield make.moving("embed-articles-2026-11", 1_000, age=25 * MINUTE, left=56 * MINUTE)
    yield make.moving("transcripts-summary", 240, age=3 * MINUTE, left=5 * MINUTE)
    yield pro.moving("обзор-отзывов", 5_400, age=70 * MINUTE, left=80 * MINUTE, failures=(overloaded,))
    yield make.pending("moderation-backfill", 800, age=MINUTE, left=6 * MINUTE)
    yield pro.pending("video-chapters", 130, age=19 * HOUR, left=10 * HOUR)
    yield pro.stalled("alt-text-archive", 5_000, age=26 * HOUR, reached=1_204)
    yield make.completed("ocr-receipts", 600, age=6 * HOUR)
    yield make.completed("classify-feedback", 3_000, age=31 * HOUR, failures=(overloaded,))
    yield replace(make.completed("quick-questions", 12, age=3 * HOUR), inline=True)
    yield pro.failed(
        "glossary-check", 300, age=11 * HOUR, errors=(LineError("INVALID_ARGUMENT", "no request", 42),)
    )
    yield make.expired("patent-abstracts", 9_000, age=4 * DAY, done=0)
    yield make.cancelled("translate-help-centre", 2_000, age=2 * DAY, done=412, failures=(BatchFailure(15),))
    yield make.completed("labels-spot-check", 200, age=6 * DAY)


def _anthropic(now: float) -> Iterable[BatchScript]:
    """The account "anthropic", whose batches have no names."""
    make = _SampleMaker(now, "claude-x")
    yield make.moving("", 5_000, age=5 * HOUR, left=3 * HOUR)
    yield make.moving("", 320, age=4 * MINUTE, left=6 * MINUTE)
    yield make.cancelling("", 1_500, asked=70, left=3 * MINUTE, done=400)
    unconfirmed, overloaded = UNCONFIRMED_TOTAL, BatchFailure(7, message=OVERLOADED, status=529)
    yield make.completed("", unconfirmed, age=UNCONFIRMED_AGE, failures=(overloaded,))
    yield make.completed("", unconfirmed, age=UNCONFIRMED_AGE - 2 * MINUTE)
    yield make.completed("", 150, age=33 * DAY)  # its results are gone
    yield make.expired("", 8_000, age=2 * DAY, done=6_900)
    yield make.cancelled("", 600, age=4 * DAY, done=210)


def _mistral(now: float) -> Iterable[BatchScript]:
    """The account "mistral"."""
    make = _SampleMaker(now, "mistral-x")
    yield make.moving("minutes-of-meetings", 2_600, age=HOUR, left=50 * MINUTE, failures=(BatchFailure(8),))
    yield make.pending("tag-archive", 700, age=2 * MINUTE, left=8 * MINUTE)
    yield make.completed("faq-answers", 1_000, age=7 * HOUR, failures=(BatchFailure(2, status=422),))
    yield make.expired("letters-1890s", 40_000, age=3 * DAY, done=31_200)
    yield make.cancelled("ocr-second-pass", 900, age=5 * DAY, done=350)
