"""The request to submit a checked file, with the choices that come with it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobdash.domain.account import Account
from jobdash.domain.cost import Cost
from jobdash.domain.describe.submit_text import (
    CHARACTERS_PER_TOKEN,
    estimated_tokens,
    file_words,
    tokens_text,
)
from jobdash.domain.text import encodable, visible
from jobdash.operations.providers import profile_name
from jobdash.providers.input_check import FileCheck, SubmitWishes, input_rules
from jobdash.providers.input_parts import FilePart, InputLimits
from jobdash.providers.registry import provider_of
from jobdash.store.records import NewestIds, NewJob

_KEY_BYTES = 6


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """A checked file, and the choices with which it is submitted."""

    account: Account
    check: FileCheck
    name: str
    model: str | None
    endpoint: str | None
    tags: dict[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    """What a person should confirm before it is sent."""
    keep_input: bool = True
    """Keep a copy of the file, with which results are joined and what is missing can be sent again."""
    part: FilePart | None = None
    """What of the file it sends; None: all of it."""
    parent_id: int | None = None
    """Retry: the job whose requests these are."""
    kept: tuple[int, int] | None = None
    """Retry: how many requests of its family had an answer, and how many an error, and are not sent again."""
    bulk: str | None = None
    """Retry: the id of the action that it is a part of."""
    seen: NewestIds | None = None
    """Those when a person last looked at what was sent: the file is not sent where a newer job is of the
    identical one. None: it is sent whatever was sent before."""

    @property
    def queues(self) -> bool:
        """Whether it is sent from the queue: it has several parts, or its account's room is limited."""
        return bool(self.check.parts) or self.account.enqueued_limit is not None

    @property
    def estimated_tokens(self) -> int:
        """The input tokens that it is expected to take."""
        return estimated_tokens(self.check.characters)

    def contents(self, cost: Cost | None = None) -> str:
        """Return what its file holds, in words; ``cost`` is what the input is expected to cost."""
        check = self.check
        return file_words(
            check.requests,
            check.size,
            self.estimated_tokens,
            embeddings=check.embeddings,
            parts=len(check.parts),
            cost=cost,
        )


def order(
    path: Path,
    account: Account,
    *,
    name: str | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    tags: dict[str, str] | None = None,
    file_name: str | None = None,
    keep_input: bool = True,
    split: bool = False,
) -> SubmitRequest:
    """Check a file and the choices that come with it; UsageError with what is wrong, and where.

    ``file_name`` is what to call the file where its path is not the person's own. A copy of it is kept if
    ``keep_input`` and the account's setting say so. `OverLimit` for a file that is larger than a batch may
    be, unless it may be ``split``.
    """
    info = provider_of(account)
    profile = info.profile_of(account)
    rules = input_rules(info)
    enqueued = account.enqueued_limit
    limits = InputLimits(
        account.max_requests, account.max_bytes, enqueued and enqueued * CHARACTERS_PER_TOKEN
    )
    check = rules(path, file_name or str(path), limits, split=split, profile=profile).check()
    wishes = SubmitWishes(model, endpoint, tags or {}, account.base_url or info.base_url)
    doubts = (*rules.check_wishes(check, wishes), *_over_enqueued(check, enqueued))
    return SubmitRequest(
        account=account,
        check=check,
        name=encodable(visible(name, path.stem, path.name)),
        model=model or check.model,
        endpoint=endpoint or check.endpoint,
        tags={encodable(key): encodable(value) for key, value in (tags or {}).items()},
        doubts=doubts,
        keep_input=keep_input and account.keep_input,
    )


def _over_enqueued(check: FileCheck, limit: int | None) -> Iterator[str]:
    """Yield that a file takes more tokens than may be enqueued at once."""
    tokens = estimated_tokens(check.characters)
    if limit is not None and not check.parts and tokens > limit:
        yield (
            f"{tokens_text(tokens)}, and {limit:,} may be enqueued: the provider may refuse it; "
            "--split cuts it into parts that fit"
        )


def requests_of(wanted: SubmitRequest) -> list[SubmitRequest]:
    """Return a request for each part of a file, the whole as it is where it has none."""
    parts = wanted.check.parts
    return [
        replace(
            wanted, name=f"{wanted.name} ({number}/{len(parts)})", check=_checked(wanted, part), part=part
        )
        for number, part in enumerate(parts, 1)
    ] or [wanted]


def without_room(wanted: SubmitRequest, enqueued: int) -> int:
    """Return how many of its parts would wait, where so many tokens are enqueued for its model already."""
    limit, waiting = wanted.account.enqueued_limit, 0
    for part in requests_of(wanted):
        tokens = part.estimated_tokens
        if limit is not None and enqueued and enqueued + tokens > limit:
            waiting += 1
        else:
            enqueued += tokens
    return waiting


def _checked(wanted: SubmitRequest, part: FilePart) -> FileCheck:
    return replace(
        wanted.check,
        requests=part.requests,
        size=part.size,
        digest=part.digest,
        characters=part.characters,
        parts=(),
    )


def new_job(wanted: SubmitRequest, origin: str, key: str) -> NewJob:
    """Return the job of a request, as it is written before anything is sent."""
    return NewJob(
        account=wanted.account.name,
        provider=wanted.account.provider,
        origin=origin,
        name=wanted.name,
        key=key,
        model=wanted.model,
        endpoint=wanted.endpoint,
        total=wanted.check.requests,
        digest=wanted.check.digest,
        seen=wanted.seen,
        tags=wanted.tags,
        estimated_tokens=wanted.estimated_tokens,
        profile=profile_name(wanted.account),
        parent_id=wanted.parent_id,
        kept_succeeded=None if wanted.kept is None else wanted.kept[0],
        kept_failed=None if wanted.kept is None else wanted.kept[1],
    )


def new_submit_key() -> str:
    """Return a key under which a submit is found again at its provider."""
    return secrets.token_hex(_KEY_BYTES)
