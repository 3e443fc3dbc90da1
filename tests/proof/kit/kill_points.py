"""Killing a process at a named point, whether that lies in its own hands or on the wire."""

from __future__ import annotations

from typing import Any

from jobdash.demo.emulator import Delay
from kit.child_processes import ForkServer
from kit.world import World

Route = tuple[str, str]
"""A method and a path."""
FOR_EVER = 300.0


def killed(
    world: World, fork_server: ForkServer, point: str, action: str, account: str, **facts: Any
) -> None:
    """Run an action in a process that is killed at a point.

    ``request POST /path``: it was sent, and never arrived at the API. ``answer POST /path``: it was applied,
    and its answer never came back. Anything else is a place of `gate.Gate`.
    """
    when, *route = point.split()
    if when in {"request", "answer"}:
        method, path = route
        world.fault(Delay(FOR_EVER, applied_first=when == "answer"), method, path)
        life = fork_server.begin(world.task(action, account, **facts))
        if when == "request":
            world.faults.wait_for(method, path)
        else:
            world.journal.wait_for(method, path)
    else:
        life = fork_server.begin(world.task(action, account, gate=point, **facts))
        life.wait("gate")
    life.kill()
    world.faults.clear()


def meet(
    world: World, fork_server: ForkServer, place: str, action: str, **facts: Any
) -> list[dict[str, Any]]:
    """Let two processes meet at one place and go on at once; return what they have done."""
    lives = [fork_server.begin(world.task(action, gate=place, **facts)) for _ in range(2)]
    for life in lives:
        life.wait("gate")
    for life in lives:
        life.release()
    return [life.finish() for life in lives]


def start_together(world: World, fork_server: ForkServer, account: str, number: int = 2) -> None:
    """So many processes start next, all at once."""
    lives = [fork_server.begin(world.task("sync", account)) for _ in range(number)]
    for life in lives:
        assert life.finish()["errors"] == []
