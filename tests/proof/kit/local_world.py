"""One store, scripts of users around it, and a witness in it to every write that ought not to be."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from kit.child_processes import TIMEOUT_S, ForkServer, Life, Ran, environment
from kit.facts import store_is_sound
from kit.script import Script
from kit.tasks import Task

_STATUS = "(SELECT status FROM job WHERE id = new.job_id)"
_LATE = (
    f"{_STATUS} NOT IN ('in_progress', 'cancelling')"
    " OR (SELECT removed_at FROM job WHERE id = new.job_id) IS NOT NULL"
    " OR new.attempt <> (SELECT attempt FROM job WHERE id = new.job_id)"
)
_ENDED_LATE = "new.owner IS NOT NULL AND new.status NOT IN ('in_progress', 'cancelling')"
_MORE_COUNTED = "new.succeeded > old.succeeded OR new.failed > old.failed"
_WRONG = {
    "late item": ("item", "INSERT", _LATE),
    "late outcome": ("item", "UPDATE", f"new.outcome <> 'waiting' AND ({_LATE})"),
    "done twice": ("item", "UPDATE", "old.outcome = 'ok'"),
    "late counts": ("job", "UPDATE", f"old.owner IS NULL AND new.owner IS NULL AND ({_MORE_COUNTED})"),
    "came back": ("job", "UPDATE", "old.removed_at IS NOT NULL AND new.removed_at IS NULL"),
    "lower fence": ("job", "UPDATE", "new.fence < old.fence"),
    "ended with an owner": ("job", "UPDATE", _ENDED_LATE),
}
"""Writes that ought not to be, whoever does them: what happens when, by what is told of it."""


_EXPECTED = re.compile(
    r"jobdash: [\w -]+ \(\w{8}\)(?:"
    r" goes on: [\d,]+ of [\d,]+ done(?:, [\d,]+ failed (?:is|are) tried again)?"
    r"| begins again: without key= nothing tells which items are done"
    r"| is (?:cancelled|failed); the next run of this script .+"
    r"| is a new job\. \w{8} (?:was left at|ended with) .+"
    r"|: [\d,]+ of [\d,]+ failed; .+"
    r")\n"
)


@dataclass
class Running:
    """A script's process, and where its words go."""

    life: Life
    output: Path

    @property
    def err(self) -> str:
        """What it said on standard error, but for what it continues, and what its next run will do."""
        file = self.output / "stderr"
        if not file.exists():  # killed before it had one
            return ""
        return _EXPECTED.sub("", file.read_text(encoding="utf-8"))


class LocalWorld:
    """Where scripts run."""

    wrong = _WRONG

    def __init__(
        self, folder: Path, template: Any, fork_server: ForkServer, script_server: ForkServer
    ) -> None:
        self.path = folder / "jobs.db"
        self._folder = folder
        self._fork_server = fork_server
        self._script_server = script_server
        self._outputs = count()
        self._make_store(template)
        (folder / "config.toml").touch()
        self._watch()

    def _make_store(self, template: Any) -> None:
        shutil.copy(template, self.path)

    def _watch(self) -> None:
        self.sql("CREATE TABLE witness (told TEXT)")
        for told, (table, event, when) in self.wrong.items():
            row = {"job": "new.id", "item": "new.key", "part": "new.number"}[table]
            self.sql(
                f'CREATE TRIGGER "{told}" AFTER {event} ON {table} WHEN {when}'
                f" BEGIN INSERT INTO witness VALUES ('{told}: ' || {row}); END"
            )

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
            return connection.execute(statement, values).fetchall()

    def environment(self, **more: str) -> dict[str, str]:
        config = str(self._folder / "config.toml")
        return environment(JOBDASH_DATABASE=str(self.path), JOBDASH_CONFIG=config, **more)

    # ── whoever works ──────────────────────────────────────────────────────────────────────────────────────

    def did(self, name: str) -> Path:
        """The file with a script's side effects."""
        return self._folder / f"{name}.did"

    def start(self, name: str, items: int, *, lease: str = "30s", **more: Any) -> Running:
        """Start a script."""
        return self.start_as(asdict(Script(name, items, str(self.did(name)), **more)), lease)

    def start_as(self, script: dict[str, Any], lease: str) -> Running:
        """Start a process of a user's."""
        output = self._folder / f"output {next(self._outputs)}"
        output.mkdir()
        env = self.environment(JOBDASH_LEASE=lease)
        return Running(
            self._script_server.begin(Task("script", env=env, output=str(output), script=script)), output
        )

    def dashboard(self) -> Life:
        """Open a dashboard without a screen."""
        return self._fork_server.begin(Task("dashboard", str(self.path), env=self.environment()))

    def jobdash(self, *args: str) -> Ran:
        """Run a command."""
        return self._fork_server.jobdash(*args, env=self.environment())

    def command(self, *args: str) -> Life:
        """Start a command, and do not wait for it."""
        output = self._folder / f"output {next(self._outputs)}"
        output.mkdir()
        task = Task("command", args=list(args), env=self.environment(), output=str(output))
        return self._fork_server.begin(task)

    # ── what is there ──────────────────────────────────────────────────────────────────────────────────────

    def job(self, name: str) -> dict[str, Any]:
        """The newest job of a name; empty when there is none."""
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM job WHERE name = ? ORDER BY id DESC LIMIT 1", [name])
            row = found.fetchone()
            return dict(row) if row else {}

    def status(self, name: str) -> str | None:
        return self.job(name).get("status")

    def items(self, job_id: int) -> list[tuple[Any, ...]]:
        return self.sql(
            "SELECT seq, key, outcome, attempt, at FROM item WHERE job_id = ? ORDER BY seq", job_id
        )

    def everything(self, name: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
        """All that a late write could change."""
        job = self.job(name)
        return job, self.items(job["id"])

    def effects(self, name: str) -> Counter[int]:
        """How often each item's side effect has happened."""
        file = self.did(name)
        return Counter(map(int, file.read_text().split())) if file.exists() else Counter()

    # ── what must hold ─────────────────────────────────────────────────────────────────────────────────────

    def no_late_write(self) -> None:
        assert self.sql("SELECT told FROM witness") == []

    def counts_are_the_rows(self, job_id: int) -> None:
        """The counts of a job with keys are those of its items, which are numbered without a gap."""
        items = self.items(job_id)
        outcomes = Counter(outcome for _, _, outcome, _, _ in items)
        done = outcomes["ok"] + outcomes["skipped"]
        ((succeeded, failed),) = self.sql("SELECT succeeded, failed FROM job WHERE id = ?", job_id)
        assert (succeeded, failed) == (done, outcomes["error"])
        assert [seq for seq, *_ in items] == list(range(len(items)))
        assert len({key for _, key, *_ in items}) == len(items)

    def is_whole(self, name: str, items: int, kills: int, fails: int = 0) -> None:
        """Completed: nothing lost, nothing twice in the store, at most one side effect more for each kill."""
        job = self.job(name)
        assert (job["status"], job["total"], job["owner"]) == ("completed", items, None)
        failing = {number for number in range(items) if fails and number % fails == 0}
        found = {int(key): outcome for _, key, outcome, _, _ in self.items(job["id"])}
        assert found == {number: "error" if number in failing else "ok" for number in range(items)}
        self.counts_are_the_rows(job["id"])
        effects = self.effects(name)
        assert set(effects) == set(range(items)) - failing
        repeated = effects.total() - len(effects)
        assert repeated <= kills, f"{repeated} side effects happened again, {kills} kills"

    def is_sound(self) -> None:
        store_is_sound(self.path)
        self.no_late_write()


def until(done: Callable[[], Any], what: str) -> Any:
    """Ask again and again until something is so, and return it."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if found := done():
            return found
        time.sleep(0.002)
    raise AssertionError(f"{what} did not come about")
