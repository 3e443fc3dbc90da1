"""kill -9 while the parts of a file are queued and sent: no part is lost, and none becomes two batches."""

from __future__ import annotations

import json

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed
from kit.world import CREATE, MINUTE, UPLOAD, World

from jobdash.domain.status import Status

NOTHING = ("before enqueue", "commit enqueue")
NOT_CREATED = (
    "after enqueue",
    "before take_queued",
    "commit take_queued",
    "after take_queued",
    "request upload",
    "answer upload",
    "before renew_creation",
    "commit renew_creation",
)
UNKNOWN = ("after renew_creation", "request create")
CREATED = ("answer create", "before close_submit", "commit close_submit", "after close_submit")
POINTS = (*NOTHING, *NOT_CREATED, *UNKNOWN, *CREATED)
PARTS = 3


def lines(account: str) -> str:
    body: dict[str, object] = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-x"}}
    if account == "gemini":
        body = {"request": {"contents": [{"parts": [{"text": "hello"}]}]}}
    if account == "mistral":
        body = {"body": {"messages": []}}
    key = "key" if account == "gemini" else "custom_id"
    return "".join(json.dumps({key: f"r{number}"} | body) + "\n" for number in range(PARTS))


def die(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    """Split a file in a process that is killed at a point, while its first part is on its way."""
    world.next_start(account)
    file = world.folder / "lines.jsonl"
    file.write_text(lines(account), "utf-8")
    when, what = point.split()
    if when in {"request", "answer"}:
        method, path = {"upload": UPLOAD, "create": CREATE}[what][account]
        point = f"{when} {method} {path}"
    killed(world, fork_server, point, "split", account, file=str(file))


def proof(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    die(world, fork_server, account, point)
    store_is_sound(world.path)
    for _ in range(3):
        world.next_start(account, send=True)
        world.clock.advance(11 * MINUTE)
    world.next_start(account, send=True)
    rows, made = world.rows(), len(world.batches()[account])
    assert world.open_intents() == []
    if point in NOTHING:
        assert (rows, made) == ([], 0)
    elif point in UNKNOWN:  # it may have been created for all that is known: never sent again
        assert made == PARTS - 1
        assert sorted(row.raw_status == "unconfirmed" for row in rows) == [False, False, True]
    else:
        assert made == PARTS
        assert all(row.remote_id is not None for row in rows)
    assert len(rows) == (0 if point in NOTHING else PARTS)
    creations = {**dict.fromkeys(NOTHING, 0), "after renew_creation": PARTS - 1}
    assert world.faults.sent(*CREATE[account]) == creations.get(point, PARTS)
    assert {row.status for row in rows} <= set(Status) - {Status.PENDING} or account == "gemini"
    store_is_sound(world.path)
    nothing_is_lost(world)


@pytest.mark.parametrize(
    ("account", "point"),
    [
        ("openai", "after enqueue"),
        ("openai", "answer upload"),
        ("openai", "request create"),
        ("openai", "answer create"),
        ("gemini", "after take_queued"),
    ],
)
def test_a_killed_part_is_repaired(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    proof(world, fork_server, account, point)


@pytest.mark.slow
@pytest.mark.parametrize("account", ["openai", "gemini", "mistral"])  # that carry a key: parts are alike
@pytest.mark.parametrize("point", POINTS)
def test_a_part_killed_anywhere_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    proof(world, fork_server, account, point)
