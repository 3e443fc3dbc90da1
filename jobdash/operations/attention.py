"""Attention: the jobs that a person should look at now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobdash.domain.attention import Attention, attention_of, usual_times
from jobdash.operations.job_lookup import Browser

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import StoreWriter


def jobs_needing_attention(browser: Browser, now: int) -> list[Attention]:
    """Return the jobs that need attention and were not looked at since they do, the latest reason first."""
    usual, reviewed = usual_times(browser.ended_batches()), browser.reviewed()
    found = (attention_of(row, now, usual) for row in browser.attention_candidates())
    wanted = [each for each in found if each is not None and each.since > reviewed.get(each.row.id, -1)]
    return sorted(wanted, key=lambda each: each.since, reverse=True)


async def set_reviewed(job_ids: Sequence[int], store: StoreWriter) -> None:
    """Record that a person has looked at jobs, or dismissed them."""
    from jobdash.store.writer import Writer

    await store.write(Writer.set_reviewed, job_ids)
