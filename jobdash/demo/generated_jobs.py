"""Very many sample jobs, straight into a store: every state, every source, hard names, the same each time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from jobdash.demo.samples import BROKEN_IMAGE, LONG_NAME, PRICES, RATE_LIMIT, TOO_LONG
from jobdash.domain.status import FORCE_FAILED, TERMINAL, Status
from jobdash.domain.time import DAY, HOUR, MINUTE
from jobdash.store.sample_loader import SAMPLE_COLUMNS, SampleRow, build_sample_store

T = TypeVar("T")


def _in_hundred(shares: dict[T, int]) -> list[T]:
    """Return each thing as often as it occurs in a hundred: drawing from that is quick."""
    return [thing for thing, share in shares.items() for _ in range(share)]


_ACCOUNTS = _in_hundred(
    {
        ("sample-openai", "openai", "https://openai.invalid/v1"): 55,
        ("sample-gemini", "gemini", "https://gemini.invalid"): 30,
        ("sample-work", "openai", "https://work.invalid/v1"): 15,
    }
)
"""Account, provider, origin; names and servers that do not exist: samples never mix with real jobs."""
_ENDED = _in_hundred({Status.COMPLETED: 86, Status.FAILED: 6, Status.EXPIRED: 3, Status.CANCELLED: 5})
_YOUNG = _in_hundred(
    {
        Status.IN_PROGRESS: 50,
        Status.PENDING: 15,
        Status.VALIDATING: 10,
        Status.FINALIZING: 8,
        Status.CANCELLING: 9,
        Status.UNKNOWN: 8,
    }
)
_UNFINISHED_MOST = 400
"""The newest so many jobs may still be under way; more than that is not plausible."""
_NAMES = (
    "nightly-eval", "catalogue-tags", "summaries", "embed-articles", "support-triage", "ocr-receipts",
    "moderation-backfill", "labels-batch", "ticket-routing", "rewrite-headlines", "churn-reasons",
    "商品説明の翻訳", "обзор-отзывов", "résumé-parsing", "[/] [bold]not markup[/bold]", LONG_NAME,
)  # fmt: skip
_MODELS = {"openai": ("gpt-x", "gpt-x-mini", "embed-x"), "gemini": ("gemini-x-flash", "gemini-x-pro")}
_ERRORS = (("rate_limit_exceeded", RATE_LIMIT), ("invalid_image", BROKEN_IMAGE), ("context_length", TOO_LONG))
_TOTALS = (20, 50, 100, 480, 1_000, 2_400, 4_000, 10_000, 25_000)
_STEP_MS = 2 * MINUTE
"""The average time between two jobs."""
_NOTHING: dict[str, Any] = dict.fromkeys(SAMPLE_COLUMNS)
_cells = itemgetter(*SAMPLE_COLUMNS)


def fill_store(path: Path, count: int, now: int, notice: Callable[[str], None]) -> int:
    """Make a store with so many sample jobs, and return how many; ``notice`` gets a sentence on moved files.

    Raises `StoreError` when there is anything at ``path`` already: samples never mix with a person's jobs.
    """
    return build_sample_store(path, sample_rows(count, now), notice)


def sample_rows(count: int, now: int) -> Iterator[SampleRow]:
    """Yield ``count`` jobs, oldest first, the newest created just before ``now`` (milliseconds UTC)."""
    chance = random.Random(count)  # noqa: S311 - the same in every run, nothing secret
    for number in range(count):
        account, provider, origin = chance.choice(_ACCOUNTS)
        left = count - number
        created = now - left * _STEP_MS + chance.randrange(_STEP_MS)
        young = left <= min(_UNFINISHED_MOST, count // 5)
        known = _job(chance, number, provider, created, now, young=young)
        yield _cells({**_NOTHING, "account": account, "provider": provider, "origin": origin, **known})


def _job(
    chance: random.Random, number: int, provider: str, created: int, now: int, *, young: bool
) -> dict[str, Any]:
    status = chance.choice(_YOUNG if young and chance.random() < 0.4 else _ENDED)
    name = chance.choice(_NAMES)
    prefix = "batch_" if provider == "openai" else "batches/"
    job: dict[str, Any] = {
        "remote_id": f"{prefix}{chance.getrandbits(96):024x}",
        "name": name if chance.random() < 0.5 else f"{name}-{number:06}",
        "remote_status": str(status),
        "raw_status": "scheduling" if status is Status.UNKNOWN else str(status),
        "model": chance.choice(_MODELS[provider]),
        "endpoint": "/v1/chat/completions" if provider == "openai" else None,
        "created_at": created,
        "started_at": created + MINUTE,
        "expires_at": created + DAY,
        "seen_at": now,
    }
    job |= _counts(chance, status)
    ended = min(now, created + int(chance.uniform(10 * MINUTE, 3 * HOUR)))
    if status in TERMINAL:
        job |= {"finished_at": ended, "updated_at": ended} | _usage(chance, job)
    else:
        job["updated_at"] = now
    if status in {Status.CANCELLING, Status.CANCELLED}:
        job["cancel_requested_at"] = ended
    return job | _fate(chance, status, ended)


def _counts(chance: random.Random, status: Status) -> dict[str, Any]:
    total = chance.choice(_TOTALS)
    if status in {Status.PENDING, Status.VALIDATING, Status.UNKNOWN}:
        return {"total": total if chance.random() < 0.5 else None}
    done = total if status is Status.COMPLETED else chance.randrange(total + 1)
    if status is Status.FAILED:
        done = 0
    bad = min(done, chance.choice((0, 0, 0, 0, 3, 12, 31)))
    return {"total": total, "succeeded": done - bad, "failed": bad}


def _usage(chance: random.Random, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokens of an ended job, and what they cost."""
    answers = job["succeeded"]
    if not answers:
        return {}
    price = PRICES[job["model"]]
    read, written = answers * chance.randrange(50, 600), answers * chance.randrange(10, 150)
    written = written if price.output else 0  # an embedding
    cost = round(read * price.input + written * price.output)
    return {"input_tokens": read, "output_tokens": written, "cost": cost, "cost_is_upper_bound": 0}


def _fate(chance: random.Random, status: Status, ended: int) -> dict[str, Any]:
    """Return further columns of a job: an error, a verdict, a removal."""
    if status is Status.FAILED:
        code, message = chance.choice(_ERRORS)
        errors = [{"message": message, "code": code, "line": chance.randrange(1, 2_000), "param": None}]
        return {"error": message, "errors": json.dumps(errors)}
    luck = chance.random()
    if luck < 0.01 and status is Status.COMPLETED:
        return {"removed_at": ended + HOUR}
    if luck < 0.02 and status is Status.EXPIRED:
        return {"verdict": FORCE_FAILED, "verdict_at": ended, "verdict_reason": "stuck"}
    return {}
