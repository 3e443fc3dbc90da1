"""Delete what this computer keeps of a batch: fetched results, and the copy of its input file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobdash.domain.job import JobRow
from jobdash.operations.context import OperationContext
from jobdash.operations.person import is_elsewhere
from jobdash.operations.results.folder import FolderRefused, ResultFolder, folder_of
from jobdash.operations.results.input_copies import delete_input_copy
from jobdash.store.commands.results import KeptHere
from jobdash.store.writer import Writer


@dataclass(frozen=True, slots=True)
class DeletedHere:
    """How many files were deleted here, and what was not, with reasons."""

    deleted: int = 0
    kept: tuple[str, ...] = ()


async def delete_batch_files(job: JobRow, work: OperationContext) -> DeletedHere:
    """Delete a batch's fetched results and the copy of its input; errors are returned, not raised.

    Only files that a fetch has written go, and only out of a folder whose manifest is the job's.
    """
    kept = await work.store.write(Writer.kept_here, job.id)
    done = await asyncio.to_thread(_delete, job, kept, work)
    if not done.kept and kept.results_folder is not None:
        await work.store.write(Writer.forget_collected, job.id)
    return done


def _delete(job: JobRow, kept: KeptHere, work: OperationContext) -> DeletedHere:
    deleted, wrong = 0, []
    places = []
    if kept.results_folder is not None and is_elsewhere(kept.host):
        wrong.append(f"{kept.results_folder} (on {kept.host})")
    elif kept.results_folder is not None:
        places.append(ResultFolder(kept.results_folder, job))
    # What a retry or auto_fetch has fetched stays there when a person fetches to another place.
    usual = folder_of(work.results_folder, job)
    if usual.path != kept.results_folder and usual.is_own:
        places.append(usual)
    for folder in places:
        try:
            deleted += folder.delete()
            if folder.merged.is_own:
                deleted += folder.merged.delete()
        except FolderRefused as error:
            wrong.append(str(error))
        except OSError as error:
            wrong.append(f"{folder.path} ({error.strerror or error})")
    if kept.submit_key is not None:
        try:
            deleted += delete_input_copy(work.store.path, kept.submit_key)
        except OSError as error:
            wrong.append(f"the copy of its input ({error.strerror or error})")
    return DeletedHere(deleted, tuple(wrong))
