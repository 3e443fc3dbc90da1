"""One store with jobs of a function, workers at their parts, and a witness to writes that ought not to be."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import postgres_kit

from jobdash.store.copying import check_store
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.worker.functions import load_functions, submit_to
from kit.child_processes import ForkServer
from kit.local_world import LocalWorld, Running
from kit.part_run_process import FUNCTION, MODULE, PartWorker

_JOB = "FROM job WHERE id = new.job_id"
_HELD = (
    "EXISTS (SELECT 1 FROM part WHERE part.job_id = new.job_id AND part.first <= new.seq"
    " AND new.seq < part.behind AND part.owner IS NOT NULL)"
)
_LATE = (
    f"(SELECT status {_JOB}) NOT IN ('in_progress', 'cancelling') OR (SELECT removed_at {_JOB}) IS NOT NULL"
    f" OR new.attempt <> (SELECT attempt {_JOB}) OR NOT {_HELD}"
)
_MORE_COUNTED = "new.succeeded > old.succeeded OR new.failed > old.failed"


class PartWorld(LocalWorld):
    """Where workers do the parts of a function's jobs."""

    packets = 7
    """After so many packets of outcomes a worker is in the middle of a job."""
    wrong: ClassVar = {
        "late outcome": ("item", "UPDATE", f"new.outcome <> 'waiting' AND ({_LATE})"),
        "done twice": ("item", "UPDATE", "old.outcome = 'ok'"),
        "an item more": ("item", "INSERT", "new.outcome <> 'waiting'"),
        "late counts": ("job", "UPDATE", f"new.owner IS NULL AND old.owner IS NULL AND ({_MORE_COUNTED})"),
        "came back": (
            "job",
            "UPDATE",
            "old.fence > 0 AND old.removed_at IS NOT NULL AND new.removed_at IS NULL",
        ),
        "lower fence": ("job", "UPDATE", "new.fence < old.fence"),
        "lower fence of a part": ("part", "UPDATE", "new.fence < old.fence"),
        "ended with an owner": (
            "job",
            "UPDATE",
            "new.owner IS NOT NULL AND new.status NOT IN ('in_progress', 'cancelling')",
        ),
        "a part of an ended job is held": (
            "part",
            "UPDATE",
            f"new.owner IS NOT NULL AND old.owner IS NULL AND (SELECT status {_JOB}) = 'completed'",
        ),
    }

    @property
    def _store(self) -> StoreLocation:
        return self.path

    def submit(self, name: str, items: int, parts: int = 1) -> str:
        """Submit a job; return its public id."""
        function = load_functions([MODULE])[FUNCTION]
        return submit_to(function, range(items), name=name, parts=parts, location=self._store).id

    def work(self, name: str, *, lease: str = "30s", **more: Any) -> Running:
        """Start a worker at a job's parts."""
        worker = PartWorker(str(self.did(name)), self.job(name)["public_id"], **more)
        return self.start_as(asdict(worker), lease)

    def parts(self, name: str) -> list[tuple[Any, ...]]:
        """All that is kept of a job's parts."""
        return self.sql("SELECT * FROM part WHERE job_id = ? ORDER BY number", self.job(name)["id"])

    def everything(self, name: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
        """All that a late write could change."""
        job, items = super().everything(name)
        return job, [*items, *self.parts(name)]

    def out(self, running: Running) -> str:
        """What a worker reported of its parts."""
        return (running.output / "stdout").read_text(encoding="utf-8")

    def is_whole(self, name: str, items: int, kills: int, fails: int = 0) -> None:
        """Completed, and no part is held; see `LocalWorld.is_whole`."""
        super().is_whole(name, items, kills, fails)
        held = "SELECT count(*) FROM part WHERE job_id = ? AND (owner IS NOT NULL OR done_at IS NULL)"
        assert self.sql(held, self.job(name)["id"]) == [(0,)]


class ServedPartWorld(PartWorld):
    """The same over a store in PostgreSQL."""

    packets = 1

    def __init__(
        self, folder: Path, location: PostgresLocation, fork_server: ForkServer, script_server: ForkServer
    ) -> None:
        self.location = location
        super().__init__(folder, location, fork_server, script_server)

    @property
    def _store(self) -> StoreLocation:
        return self.location

    def _make_store(self, template: Any) -> None:
        del template

    def _watch(self) -> None:
        self.sql("CREATE TABLE witness (told TEXT)")
        for number, (told, (table, event, when)) in enumerate(self.wrong.items()):
            self.sql(
                f"CREATE FUNCTION witness_{number}() RETURNS trigger LANGUAGE plpgsql"
                f" SET search_path FROM CURRENT AS $$ BEGIN IF {when} THEN"
                f" INSERT INTO witness VALUES ('{told}'); END IF; RETURN NULL; END $$"
            )
            self.sql(
                f"CREATE TRIGGER witness_{number} AFTER {event} ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION witness_{number}()"
            )

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return postgres_kit.raw(self.location, statement, values)

    def environment(self, **more: str) -> dict[str, str]:
        return {**super().environment(**more), "JOBDASH_DATABASE": self.location.address}

    def job(self, name: str) -> dict[str, Any]:
        """The newest job of a name; empty when there is none."""
        found = self.sql("SELECT to_json(job) FROM job WHERE name = ? ORDER BY id DESC LIMIT 1", name)
        return dict(found[0][0]) if found else {}

    def is_sound(self) -> None:
        assert check_store(self.location) == []
        self.no_late_write()
