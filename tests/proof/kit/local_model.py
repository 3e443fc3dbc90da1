"""What local jobs ought to be: the rules of lease and fence over plain dicts, told a second time.

Nothing here is shared with the product; where both say the same after every step, both are right or both
have misunderstood the same sentence of the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Job = dict[str, Any]
TTL = 30_000
DEAD = "dead"
"""The owner of which it is proven that it runs no more."""
ENDED = ("completed", "cancelled", "failed")
DONE = ("ok", "skipped")


@dataclass
class Held:
    """What a worker believes to hold."""

    job_id: int
    fence: int
    attempt: int


def shown(job: Job) -> str:
    """The status that a person sees."""
    if job["verdict"]:
        return "failed"
    if job["word"] not in ENDED and job["asked"]:
        return "cancelling"
    return str(job["word"])


@dataclass
class Model:
    """All jobs, by id, and the clock."""

    now: int
    jobs: dict[int, Job] = field(default_factory=dict)

    # What workers do.

    def claim(self, name: str, owner: str, keyed: bool, total: int | None, new_id: int) -> Held:
        """Join the newest job of a name or make one; ``new_id`` is what a new one is called."""
        self.close_abandoned()
        named = [job_id for job_id, job in self.jobs.items() if job["name"] == name]
        job_id = max(named, default=None)
        if job_id is None or not self._joinable(self.jobs[job_id], keyed):
            job_id = new_id
            self.jobs[job_id] = _made(name)
        job = self.jobs[job_id]
        if job["word"] != "pending" or job["asked"]:
            self._pending_again(job, keyed)
        self._errors_to_waiting(job)
        if keyed:
            total = None if total is None else max(total, len(job["items"]))
        else:
            job.update(ok=0, failed=0)
        job.update(word="in_progress", owner=owner, lease=self.now + TTL, fence=job["fence"] + 1)
        job.update(total=total, before=job["ok"] + job["failed"], keyed=keyed, ended=False)
        return Held(job_id, job["fence"], job["attempt"])

    def holds(self, held: Held) -> bool:
        """Whether a worker may write."""
        job = self.jobs[held.job_id]
        return job["fence"] == held.fence and shown(job) in {"in_progress", "cancelling"}

    def refusal(self, held: Held) -> str:
        """How the sentence begins that a worker is told which may not."""
        job = self.jobs[held.job_id]
        if job["removed"]:
            return "was removed"
        if job["verdict"]:
            return "was failed"
        if shown(job) == "cancelled":
            return "was cancelled"
        if shown(job) == "pending":
            return "was set back to pending"
        return f"is {shown(job)} already" if job["fence"] == held.fence else "was taken over by"

    def items(self, held: Held, outcomes: list[tuple[str, str]]) -> str:
        """Keep what became of items."""
        job = self.jobs[held.job_id]
        before = job["ok"], job["failed"]
        for key, outcome in outcomes:
            job["items"][key] = (outcome, held.attempt)
        self._recount(job)
        if before != (job["ok"], job["failed"]):
            self._raise_total(job)
        return self.renew(held)

    def counts(self, held: Held, ok: int, failed: int) -> str:
        """Keep mere counts."""
        job = self.jobs[held.job_id]
        job.update(ok=ok, failed=failed)
        self._raise_total(job)
        return self.renew(held)

    def expect(self, held: Held, keys: list[str]) -> str:
        """Write down what is to come."""
        for key in keys:
            self.jobs[held.job_id]["items"].setdefault(key, ("waiting", held.attempt))
        return self.renew(held)

    def count_total(self, held: Held) -> int:
        """Make the items that are written down the total."""
        job = self.jobs[held.job_id]
        job["total"] = len(job["items"])
        self.renew(held)
        return int(job["total"])

    def set_total(self, held: Held, total: int) -> None:
        """Keep a total that has become known."""
        self.jobs[held.job_id]["total"] = total

    def renew(self, held: Held) -> str:
        """Renew the lease."""
        job = self.jobs[held.job_id]
        job["lease"] = self.now + TTL
        return shown(job)

    def ask(self, held: Held) -> None:
        """Cancel oneself."""
        self.jobs[held.job_id]["asked"] = True

    def finish(self, held: Held, word: str, asked: bool) -> None:
        """End the job; the fence stays where it is."""
        job = self.jobs[held.job_id]
        job.update(word=word, owner=None, lease=None, ended=True, asked=job["asked"] or asked)

    # What dashboards do; each returns why not, or None.

    def refused(self, act: str, job: Job, fence: int) -> bool:
        """Whether an act is refused that was planned when the job had this fence."""
        status = shown(job)
        accepts = {
            "cancel": status in {"pending", "in_progress"},
            "force-fail": status not in ENDED,
            "remove": True,
            "retry": status in {"failed", "cancelled"}
            or (status == "completed" and (job["failed"] > 0 or _missing(job) > 0))
            or (status == "in_progress" and job["lease"] < self.now),
        }
        return job["removed"] or not accepts[act] or job["fence"] != fence

    def act(self, act: str, job_id: int) -> None:
        """Do what was not refused."""
        job = self.jobs[job_id]
        if act == "cancel":
            if shown(job) == "in_progress" and self._has_worker(job):
                job["asked"] = True
            else:
                self._cancelled(job)
        elif act == "force-fail":
            job.update(word="failed", verdict=True, ended=True)
            self._fence_off(job)
        elif act == "remove":
            if shown(job) not in ENDED:
                self._cancelled(job)
            job["removed"] = True
            self._fence_off(job)
        else:
            if shown(job) not in ENDED:  # its worker is lost: failed, then retried
                self._fence_off(job)
            self._errors_to_waiting(job)
            self._pending_again(job, job["keyed"])

    def close_abandoned(self) -> list[int]:
        """End the jobs that were told to stop and have no worker to do so."""
        found = [
            job_id
            for job_id, job in self.jobs.items()
            if shown(job) == "cancelling" and not job["removed"] and not self._has_worker(job)
        ]
        for job_id in found:
            self._cancelled(self.jobs[job_id])
        return found

    # The rules.

    def _has_worker(self, job: Job) -> bool:
        return job["owner"] not in {None, DEAD} and bool(job["lease"] >= self.now)

    def _joinable(self, job: Job, keyed: bool) -> bool:
        held = shown(job) in {"in_progress", "cancelling"} and self._has_worker(job)
        return not job["removed"] and shown(job) != "completed" and job["keyed"] == keyed and not held

    def _cancelled(self, job: Job) -> None:
        job.update(word="cancelled", asked=True, ended=True)
        self._fence_off(job)

    def _pending_again(self, job: Job, keyed: bool) -> None:
        job.update(word="pending", asked=False, verdict=False, ended=False, attempt=job["attempt"] + 1)
        if not keyed:
            job.update(ok=0, failed=0, before=0)
        self._fence_off(job)

    @staticmethod
    def _fence_off(job: Job) -> None:
        job.update(owner=None, lease=None, fence=job["fence"] + 1)

    @staticmethod
    def _errors_to_waiting(job: Job) -> None:
        for key, (outcome, attempt) in job["items"].items():
            if outcome == "error":
                job["items"][key] = ("waiting", attempt)
                job["failed"] -= 1

    @staticmethod
    def _recount(job: Job) -> None:
        outcomes = [outcome for outcome, _ in job["items"].values()]
        job["ok"] = sum(outcome in DONE for outcome in outcomes)
        job["failed"] = outcomes.count("error")

    @staticmethod
    def _raise_total(job: Job) -> None:
        if job["total"] is not None:
            job["total"] = max(job["total"], job["ok"] + job["failed"])


def _made(name: str) -> Job:
    return {
        "name": name,
        "word": "pending",
        "asked": False,
        "verdict": False,
        "removed": False,
        "ended": False,
        "fence": 0,
        "attempt": 1,
        "owner": None,
        "lease": None,
        "total": None,
        "ok": 0,
        "failed": 0,
        "before": 0,
        "keyed": None,
        "items": {},
    }


def _missing(job: Job) -> int:
    return 0 if job["total"] is None else max(0, job["total"] - job["ok"] - job["failed"])
