"""kill -9 while a file is submitted: no batch is lost, and none is made twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed, start_together
from kit.world import CREATE, KEYS, MINUTE, PROFILE_CREATE, PROFILE_UPLOAD, UPLOAD, World
from shared.slices import rest_slow, turns

from jobdash.demo.emulator import BatchScript
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status

NOTHING = ("before begin_submit", "commit begin_submit")
NOT_CREATED = ("after begin_submit", "request upload", "answer upload", "request create")
CREATED = ("answer create", "before close_submit", "commit close_submit", "after close_submit")
POINTS = (*NOTHING, *NOT_CREATED, *CREATED)
LINES = {
    "openai": (
        '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-x"}}\n'
    ),
    "gemini": '{"key": "1", "request": {"contents": [{"parts": [{"text": "hello"}]}]}}\n',
    "anthropic": '{"custom_id": "1", "params": {"model": "c", "max_tokens": 9, "messages": [{}]}}\n',
    "mistral": '{"custom_id": "1", "body": {"messages": []}}\n',
}
LINES |= dict.fromkeys(PROFILE_CREATE, LINES["openai"])
CREATIONS, UPLOADS = CREATE | PROFILE_CREATE, UPLOAD | PROFILE_UPLOAD


def places(accounts: Iterable[str]) -> list[tuple[str, str]]:
    return [
        (account, point)
        for account in accounts
        for point in POINTS
        if account in UPLOADS or "upload" not in point
    ]


def die(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    """Submit a file in a process that is killed at a point."""
    world.next_start(account)
    file = world.folder / "lines.jsonl"
    file.write_text(LINES[account], "utf-8")
    when, what = point.split()
    if when in {"request", "answer"}:
        method, path = (UPLOADS if what == "upload" else CREATIONS)[account]
        point = f"{when} {method} {path}"
    killed(world, fork_server, point, "submit", account, file=str(file))


def only_row(world: World) -> JobRow:
    (row,) = world.rows()
    return row


def right_after_the_death(world: World, point: str) -> None:
    if point in NOTHING:
        assert (world.rows(), world.open_intents()) == ([], [])
    elif point == "after close_submit":
        assert world.open_intents() == []
    else:
        row = only_row(world)
        assert (row.status, row.remote_id, row.raw_status) == (Status.PENDING, None, "submitting")
        assert world.open_intents() == ["submit"]


def repaired(world: World, account: str, point: str) -> None:
    """What the next start has made of it: found by its key, or still waited for."""
    if point in NOTHING:
        assert world.rows() == []
    elif point in CREATED:
        assert {only_row(world).remote_id} == world.batches()[account]
        assert only_row(world).name == "submitted"
        assert world.open_intents() == []
    else:
        assert only_row(world).remote_id is None
        assert world.open_intents() == ["submit"]


def in_the_end(world: World, account: str, point: str) -> None:
    """After ten minutes without a sign of it, it is unconfirmed, and no more than that is claimed."""
    world.clock.advance(10 * MINUTE)
    world.next_start(account)
    assert world.open_intents() == []
    if point in NOT_CREATED:
        row = only_row(world)
        assert (row.status, row.raw_status) == (Status.UNKNOWN, "unconfirmed")
    assert len(world.batches()[account]) == (1 if point in CREATED else 0)
    assert world.faults.sent(*CREATIONS[account]) == (1 if point in (*CREATED, "request create") else 0)
    if account in UPLOADS:
        assert world.faults.sent(*UPLOADS[account]) <= 2  # Gemini's is resumable: the start, and the bytes
    store_is_sound(world.path)
    nothing_is_lost(world)


def proof(world: World, fork_server: ForkServer, account: str, point: str, *, together: bool = False) -> None:
    die(world, fork_server, account, point)
    store_is_sound(world.path)
    right_after_the_death(world, point)
    if together:
        start_together(world, fork_server, account)
    else:
        world.next_start(account)
    repaired(world, account, point)
    in_the_end(world, account, point)


@pytest.mark.parametrize(
    ("account", "point"),
    [
        ("openai", "commit close_submit"),
        ("gemini", "answer create"),
        ("anthropic", "request create"),
        ("mistral", "answer create"),
    ],
)
def test_a_killed_submit_is_repaired(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    # A-13 B-16
    proof(world, fork_server, account, point)


@pytest.mark.slow
@pytest.mark.parametrize(("account", "point"), places(CREATE))
@pytest.mark.parametrize("turn", turns(5))
def test_a_submit_killed_anywhere_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    # five times at each provider, every other time by two starters at once
    proof(world, fork_server, account, point, together=bool(turn % 2))


@pytest.mark.slow
@pytest.mark.parametrize(("account", "point"), places(PROFILE_CREATE))
def test_a_submit_killed_at_a_server_like_openai_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    proof(world, fork_server, account, point)


@pytest.mark.marathon
@pytest.mark.parametrize(("account", "point"), places(PROFILE_CREATE))
@pytest.mark.parametrize("turn", range(5))
def test_a_submit_killed_anywhere_at_a_server_like_openai_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    proof(world, fork_server, account, point, together=bool(turn % 2))


@pytest.mark.parametrize("account", rest_slow(CREATE, ["openai", "gemini"]))
@pytest.mark.parametrize("wait", [1, 20])
def test_a_batch_that_turns_up_late_is_the_job_that_waited_for_it(
    world: World, fork_server: ForkServer, account: str, wait: int
) -> None:
    die(world, fork_server, account, "request create")
    world.clock.advance(wait * MINUTE)
    world.next_start(account)
    waiting = only_row(world)
    key = world.job(waiting).submit_key
    script = BatchScript(metadata={"name": "submitted", "jobdash_key": key or ""}, total=1)
    if account == "gemini":
        script = BatchScript(name=f"submitted [jobdash:{key}]")
    batch = world.turns_up(account, script)
    world.next_start(account)

    row = only_row(world)
    assert (row.id, row.public_id, row.remote_id) == (waiting.id, waiting.public_id, batch)
    assert row.status is not Status.UNKNOWN
    assert world.open_intents() == []
    store_is_sound(world.path)


def test_a_process_that_cannot_be_looked_for_may_take_as_long_as_an_upload(
    world: World, fork_server: ForkServer
) -> None:
    die(world, fork_server, "openai", "after begin_submit")
    world.owned_elsewhere()
    for minutes in (11, 34):
        world.clock.advance(minutes * MINUTE)
        world.next_start()
        assert world.open_intents() == ["submit"]
    world.clock.advance(2 * MINUTE)
    world.next_start()
    assert (world.open_intents(), only_row(world).raw_status) == ([], "unconfirmed")


def test_the_file_and_its_key_are_not_the_stores_only_trace(world: World, fork_server: ForkServer) -> None:
    """What was intended is told, also before it is known what came of it."""
    die(world, fork_server, "openai", "after begin_submit")
    row = only_row(world)
    assert (row.name, row.account, row.model, row.endpoint, row.total) == (
        "submitted",
        "openai",
        "gpt-x",
        "/v1/chat/completions",
        1,
    )
    assert KEYS["openai"] not in Path(world.path).read_bytes().decode("latin-1")
