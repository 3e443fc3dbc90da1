"""Adoption: a person says which batch the job of a submit without an answer is, or that it is none."""

from __future__ import annotations

from dataclasses import dataclass

from jobdash.domain.job import JobRow
from jobdash.errors import ConfigError, NotFound, ProviderError
from jobdash.operations.accounts.session import GetBatch, NotSent
from jobdash.operations.context import OperationContext
from jobdash.store.records import Refusal
from jobdash.store.writer import Writer

NONE_OF_THEM = "no batch came of its submit, as a person has said"


@dataclass(frozen=True, slots=True)
class Adoption:
    """The job as it is now, and why nothing was written; empty where it was."""

    row: JobRow
    refusal: str = ""


async def adopt(job: JobRow, remote_id: str, work: OperationContext) -> Adoption:
    """Ask for the batch, and record that it is the job's; refused where it is not there, or is another job's.

    No other request is sent.
    """
    asked_at = work.clock()
    try:
        remote = await work.caller(job).call(GetBatch(remote_id))
    except NotFound as error:
        return Adoption(job, f"its provider knows no batch {remote_id} ({error.full_text})")
    except (ProviderError, NotSent) as error:
        return Adoption(job, f"{remote_id} could not be asked for: {error}")
    except ConfigError as error:
        return Adoption(job, str(error))
    return _adoption(job, await work.store.write(Writer.adopt_batch, job.id, remote, asked_at))


async def disown(job: JobRow, work: OperationContext) -> Adoption:
    """Record that no batch is the job's: it failed here, and its requests may be sent again."""
    return _adoption(job, await work.store.write(Writer.disown_batches, job.id, NONE_OF_THEM))


def _adoption(job: JobRow, written: JobRow | Refusal) -> Adoption:
    return Adoption(written.row or job, written.reason) if isinstance(written, Refusal) else Adoption(written)
