"""The folder of a batch's fetched results: its name, its lock, its manifest, and how files appear in it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.results import ResultCounts
from jobdash.domain.text import clean, file_name
from jobdash.errors import JobdashError
from jobdash.operations.person import is_elsewhere
from jobdash.operations.private_files import new_private_file
from jobdash.operations.results.file_digest import file_facts
from jobdash.store.files import make_private_folder

MANIFEST = "manifest.json"
OUTPUT, ERRORS, RESULTS, MISSING = "output.jsonl", "errors.jsonl", "results.jsonl", "missing.jsonl"
FORMATS = {"csv": "results.csv", "parquet": "results.parquet"}
"""The file of results in each format but JSON lines."""
NAMES = (OUTPUT, ERRORS, RESULTS, MISSING, *FORMATS.values())
INDEX = "results.index"
"""Where each result is in `RESULTS`; made anew when it is missing."""
RAW = {"output": OUTPUT, "error": ERRORS}
"""The files as the provider sent them, by role."""
INPUT = "input"
"""The requests, while they are joined; they do not stay."""
PART = ".part"
_PARTS = frozenset(f"{name}{PART}" for name in (*NAMES, MANIFEST, INPUT))
_NAME_LENGTH = 48
"""Characters of a job's name in a folder's: four bytes each, they still leave room for the rest."""
_READ = 1024 * 1024
PATIENCE_SECONDS = 20.0
"""How long a fetch waits for another one that holds the folder."""
RETRY_SECONDS = 0.05


class FolderRefused(JobdashError):
    """The folder is in use, or belongs to something else."""


def folder_of(parent: Path, row: JobRow) -> ResultFolder:
    """Return a job's folder under another one: ``NAME-ID``."""
    return ResultFolder((parent / f"{file_name(row.name, _NAME_LENGTH)}-{row.public_id}").absolute(), row)


def kept_folder(job: JobDetails) -> ResultFolder | None:
    """Return the folder with all of a batch's fetched results; None where they are not here."""
    if job.results_folder is None or is_elsewhere(job.fetched_on):
        return None
    folder = ResultFolder(Path(job.results_folder), job.row)
    return folder if folder.is_own and folder.counts() is not None else None


class FolderInUse(FolderRefused):
    """Another fetch holds the folder."""


class ResultFolder:
    """The folder of one job's results; files in it appear whole or not at all."""

    def __init__(self, path: Path, row: JobRow) -> None:
        self.path = path
        self._row = row

    @property
    def merged(self) -> ResultFolder:
        """The folder beside it for the results of a batch and its retries in one: ``NAME-ID-merged``."""
        return ResultFolder(self.path.with_name(f"{self.path.name}-merged"), self._row)

    def file(self, name: str) -> Path:
        """Return where a file of the folder is."""
        return self.path / name

    def part(self, name: str) -> Path:
        """Return where a file is written until it is whole."""
        return self.path / f"{name}{PART}"

    @contextmanager
    def locked(self, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Make the folder and hold it against other fetches; what is left in it half written is deleted.

        Blocks while another one holds it. Raises FolderInUse when that takes longer than ``patience``
        seconds, FolderRefused when the folder has files of something else, OSError when it cannot be made. A
        folder that was made and stays empty is removed.
        """
        descriptor = self._lock(time.monotonic() + patience)
        try:
            self._check_owner()
            try:
                yield
            finally:
                with suppress(FileNotFoundError):  # the folder was deleted meanwhile
                    self._clear()
        finally:
            os.close(descriptor)

    def _clear(self) -> None:
        """Delete files that are half written, and the folder if nothing else is in it."""
        self._name_manifest()
        left = {each.name for each in self.path.iterdir()}
        for name in _PARTS.intersection(left):
            self.file(name).unlink(missing_ok=True)
        if _PARTS.issuperset(left):
            with suppress(OSError):
                self.path.rmdir()

    def _lock(self, deadline: float) -> int:
        while True:
            make_private_folder(self.path)
            descriptor = self._try_lock()
            if descriptor is not None:
                return descriptor
            if time.monotonic() >= deadline:
                raise FolderInUse(f"another jobdash is fetching into {self.path}")
            time.sleep(RETRY_SECONDS)

    def _try_lock(self) -> int | None:
        """Return the locked descriptor of the folder; None while another fetch holds it."""
        import fcntl

        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # its holder has just removed it, as nothing was in it
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise FolderRefused(f"{self.path} is not a folder of its own: choose another one") from None
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        if self._is_here(descriptor):
            return descriptor
        os.close(descriptor)  # its last holder found it empty, and removed it
        return None

    def _is_here(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            return False

    def _check_owner(self) -> None:
        """Raise `FolderRefused` where the folder is another job's, or holds files that are not ours."""
        self._name_manifest()
        manifest = self.manifest()
        if manifest is not None:
            if not self.is_own:
                other = clean(str(manifest["job"].get("remote_id")), 80)
                raise FolderRefused(
                    f"{self.path} has the results of another job ({other}): choose another one"
                )
        elif any(each.name not in _PARTS for each in self.path.iterdir()):
            raise FolderRefused(f"{self.path} holds other files: choose another folder")

    @property
    def is_own(self) -> bool:
        """Whether the manifest is this job's."""
        manifest = self.manifest()
        return manifest is not None and manifest["job"].get("identity") == self.identity

    @property
    def identity(self) -> list[str | None]:
        """What distinguishes the job from every other one, in other stores too."""
        return [self._row.provider, self._row.origin, self._row.remote_id]

    @property
    def job_facts(self) -> dict[str, Any]:
        """The job whose folder it is, as its manifest has it."""
        row = self._row
        return {
            "id": row.public_id,
            "identity": self.identity,
            "name": row.name,
            "provider": row.provider,
            "account": row.account,
            "origin": row.origin,
            "remote_id": row.remote_id,
            "total": row.total,
        }

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest; None where there is none that can be read."""
        try:
            found = json.loads(self.file(MANIFEST).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("job"), dict) else None

    def counts(self) -> ResultCounts | None:
        """Return the counts of the results, if all of them are there."""
        manifest = self.manifest()
        if manifest is None or not manifest.get("complete") or not self._has(manifest.get("files")):
            return None
        try:
            return ResultCounts(**manifest["counts"])
        except (KeyError, TypeError):  # not as it was written
            return None

    def _has(self, names: object) -> bool:
        """Whether the files that a manifest names are there, in their sizes."""
        if not isinstance(names, dict) or RESULTS not in names:
            return False
        for name, facts in names.items():
            try:
                if self.file(name).stat().st_size != facts.get("bytes"):
                    return False
            except (OSError, AttributeError):
                return False
        return True

    def take_earlier(self, name: str) -> bool:
        """Copy a file of an earlier fetch to where it is written, if it is whole; return whether it is.

        Raises OSError.
        """
        files = (self.manifest() or {}).get("files")
        if not isinstance(files, dict) or name not in files:
            return False
        part = self.part(name)
        try:
            with self.file(name).open("rb") as read, os.fdopen(new_private_file(part), "wb") as write:
                shutil.copyfileobj(read, write, _READ)
                write.flush()
                os.fsync(write.fileno())
        except FileNotFoundError:
            return False
        return bool(files[name] == asdict(file_facts(part)))

    def publish(self, names: list[str], manifest: dict[str, Any]) -> None:
        """Let whole files appear under their names, and the manifest last. Raises OSError.

        It is on disk before any file has its name, so that it is known whose these are: see `_name_manifest`.
        """
        earlier = self.manifest()
        self._write_manifest(manifest)
        for name in names:
            self.part(name).replace(self.file(name))
        if earlier is None or not earlier.get("complete"):
            for name in {*NAMES} - manifest["files"].keys():
                self.file(name).unlink(missing_ok=True)  # of an earlier, partial fetch
        self.part(MANIFEST).replace(self.file(MANIFEST))
        self._sync()

    def delete(self) -> int:
        """Delete the files of the folder, and the folder if nothing else is in it; return how many they were.

        Raises OSError, and FolderRefused for a folder that is in use or another job's.
        """
        if not self.path.is_dir():
            return 0
        with self.locked(patience=0):
            there = [file for name in (*NAMES, MANIFEST) if (file := self.file(name)).exists()]
            for file in there:
                file.unlink()
            self.file(INDEX).unlink(missing_ok=True)
        return len(there)

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        from pydantic_core import to_json

        part = self.part(MANIFEST)
        with os.fdopen(new_private_file(part), "wb") as file:
            file.write(to_json(manifest, indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _name_manifest(self) -> None:
        """Name the manifest of a fetch that ended while it named its files; there was none before."""
        part, named = self.part(MANIFEST), self.file(MANIFEST)
        if part.exists() and not named.exists() and any(self.file(name).exists() for name in NAMES):
            part.replace(named)

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
