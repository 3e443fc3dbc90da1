"""Attention: the jobs that a person should look at now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobdash.domain.attention import Attention
from jobdash.operations.job_lookup import Browser

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import StoreWriter


def jobs_needing_attention(browser: Browser) -> list[Attention]:
    """Return the jobs that need attention and were not looked at since they do, the latest reason first."""
    return sorted(browser.needing_attention().values(), key=lambda each: (-each.since, -each.row.id))


async def set_reviewed(seen: Sequence[Attention], store: StoreWriter) -> None:
    """Record that a person has looked at jobs, or dismissed them."""
    from jobdash.store.writer import Writer

    await store.write(Writer.set_reviewed, {each.row.id: each.marks for each in seen})
