"""A process that has stopped itself in the middle of a job, and what is done to the job meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from kit.local_world import LocalWorld, Running

ACTS = ("cancel", "force-fail", "remove", "retry", "takeover")
"""What happens to the job of a stopped process: four commands, and another process that goes on with it."""
STATUS = {"cancel": "cancelled", "force-fail": "failed", "remove": "cancelled", "retry": "pending"}
"""The status of the job after each command."""
Place = TypeVar("Place", bound=LocalWorld)


@dataclass
class StoppedProcess(Generic[Place]):
    """A process that has stopped itself at a named point, and the name of its job."""

    place: Place
    name: str
    point: str
    running: Running

    @property
    def known_as(self) -> str:
        return str(self.place.job(self.name)["public_id"])

    def done_to(self, act: str) -> None:
        """Run a command on its job, which succeeds."""
        more = ["--cancel"] if act == "remove" else []
        ran = self.place.jobdash(act, self.known_as, *more, "--yes")
        assert ran.code == 0, ran.told
        assert self.place.status(self.name) in {STATUS[act], "cancelling" if act == "cancel" else ""}
        assert (self.place.job(self.name)["removed_at"] is not None) is (act == "remove")


def unfinished_words(act: str) -> tuple[str, ...]:
    """Return the command by which a job that is still unfinished is brought to where ``act`` applies."""
    return ("force-fail",) if act == "retry" else (act, "--cancel") if act == "remove" else (act,)
