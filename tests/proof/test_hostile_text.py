"""Hostile text from a provider, through a sync and the store, out of every command: only text arrives."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.child_processes import ForkServer
from kit.facts import store_is_sound
from kit.hostile import LONG, hostile_strings, unprintable
from kit.terminal import on_terminal
from kit.world import World
from shared.slices import rest_slow

from jobdash.demo.emulator import ErrorAnswer

STRINGS = hostile_strings()
WORDS = ("completed", "failed", "in_progress", "\x1b[31mweird\u202e", "cancelled")
CREATED = 1_795_000_000


def batch(number: int, text: str) -> dict[str, Any]:
    """A batch whose every text is hostile; only what the API itself needs is left as it is."""
    word = WORDS[number % len(WORDS)]
    return {
        "id": f"{text[:40]}{number:04}" if number % 4 == 0 else f"batch_{number:04}",
        "object": "batch",
        "status": word,
        "endpoint": text[:200],
        "model": text[:200],
        "created_at": CREATED + number,
        "completed_at": CREATED + number + 60,
        "request_counts": {"total": 10, "completed": 7, "failed": 3},
        "input_file_id": f"file-{text[:40]}",
        "usage": {"note": text[:200], text[:50] or "x": 1},
        "metadata": {"name": text, f"k{text[:50]}": text[:400], "team": text[:400]},
        "errors": {"data": [{"code": text[:100], "message": text, "line": 3, "param": text[:100]}]},
    }


def exact(text: str, limit: int = 1024) -> str:
    """What the store keeps of a text: all but NULs and half characters, and not more than it has room for."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if len(whole.encode()) <= limit:
        return whole
    return whole.encode()[: limit - len("… (cut)".encode())].decode("utf-8", "ignore") + "… (cut)"


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, fresh_store: Path, fork_server: ForkServer
) -> Iterator[World]:
    """A store after a sync with a provider that says nothing but such things, and with errors too."""
    with World(tmp_path_factory.mktemp("hostile"), fresh_store) as world:
        page = {"object": "list", "data": [batch(*pair) for pair in enumerate(STRINGS)], "has_more": False}
        world.fault(ErrorAnswer(200, json.dumps(page)), "GET", "/v1/batches")
        refusal = json.dumps(
            {"error": {"message": "".join(STRINGS[:60]), "code": STRINGS[5], "type": STRINGS[3]}}
        )
        world.fault(ErrorAnswer(400, refusal, {"x-request-id": "evil"}), "*", "/v1/batches/*")
        done = fork_server.jobdash("sync", "--account", "openai", "--full", env=world.environment())
        assert done.code == 0, done.err
        assert not unprintable(done.told)
        yield world


def names(world: World) -> dict[str, str]:
    """By the provider's id, the names as the store keeps them."""
    return {row.remote_id or "": row.name for row in world.rows()}


def test_there_are_enough_of_them() -> None:
    assert len(STRINGS) >= 300
    assert sum(1 for text in STRINGS if unprintable(text)) > 200


def test_json_holds_every_text_exactly_and_in_ascii(fork_server: ForkServer, hostile: World) -> None:
    done = fork_server.jobdash(
        "list", "--json", "--limit", "0", "--sort", "created", env=hostile.environment()
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    assert not unprintable(done.out)
    jobs = json.loads(done.out)["jobs"]
    assert len(jobs) == len(STRINGS)
    for number, job in enumerate(jobs):
        text = STRINGS[number]
        if text.strip():
            assert job["name"] == exact(text), number
            assert job["error"] == exact(text, 16 * 1024), number
            assert job["tags"]["team"] == exact(text[:400]) or not text[:400].strip()
        if text[:200].strip():
            assert job["model"] == exact(text[:200])
            assert job["endpoint"] == exact(text[:200])
        assert exact(job["remote_id"]) == exact(batch(number, text)["id"])  # a file keeps NULs of ids
    assert {job["name"]: 1 for job in jobs}.keys() == set(names(hostile).values())


@pytest.mark.parametrize("args", [[], ["--csv"], ["--sort", "name"], ["-f", "status:failed", "--removed"]])
def test_a_listing_is_printable_one_line_a_job(
    fork_server: ForkServer, hostile: World, args: list[str]
) -> None:
    done = fork_server.jobdash("list", "--limit", "0", *args, env=hostile.environment())
    assert done.code == 0
    assert not unprintable(done.told)
    if args in ([], ["--csv"]):
        assert len(done.out.splitlines()) == len(STRINGS) + 1
    if args == ["--csv"]:
        rows = list(csv.DictReader(io.StringIO(done.out)))
        assert len(rows) == len(STRINGS)
        assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("width", [80, 200])
def test_a_table_on_a_terminal_is_printable(hostile: World, width: int) -> None:
    code, told = on_terminal("list", "--limit", "0", env=hostile.environment(), width=width)
    assert code == 0
    assert not unprintable(told)
    assert (
        len([line for line in told.splitlines() if line.strip()]) == len(STRINGS) + 2
    )  # head, and how fresh


def nasty(world: World) -> list[str]:
    """The ids of a few of the worst."""
    wanted = [exact(text) for text in (STRINGS[5], STRINGS[24], STRINGS[40], LONG[0])]
    return [row.public_id for row in world.rows() if row.name in wanted]


def test_one_job_in_full_is_printable(fork_server: ForkServer, hostile: World) -> None:
    ids = nasty(hostile)
    assert len(ids) == 4
    for public_id in ids[:2]:
        done = fork_server.jobdash("show", public_id, "--events", env=hostile.environment())
        code, told = on_terminal("show", public_id, "--events", env=hostile.environment())
        assert (done.code, code) == (0, 0)
        assert not unprintable(done.told)
        assert not unprintable(told)
        shape = json.loads(fork_server.jobdash("show", public_id, "--json", env=hostile.environment()).out)
        assert shape["errors"][0]["message"] in {exact(text) for text in STRINGS}


@pytest.mark.slow
def test_an_actions_lines_and_the_log_are_printable(fork_server: ForkServer, hostile: World) -> None:
    env = hostile.environment()
    outputs = []
    for args in (
        ["cancel", "-f", "status:running,unknown", "--dry-run"],
        ["cancel", "-f", "status:running,unknown", "--yes"],
        ["force-fail", *nasty(hostile), "--reason", "\x1b[31mbecause\u202e", "--yes"],
        ["remove", "-f", "status:failed", "--yes"],
        ["refresh-errors", "-f", "status:failed"],
        ["wait", *nasty(hostile), "--timeout", "1"],
        ["undo", "--yes"],
        ["log", "--limit", "5000"],
        ["doctor"],
    ):
        done = fork_server.jobdash(*args, env=env)
        assert "should not" not in done.err, (args, done.err[-500:])
        outputs.append(done.told)
    assert not set().union(*map(unprintable, outputs))
    code, told = on_terminal("log", "--limit", "5000", env=env)
    assert code == 0
    assert not unprintable(told)
    log = fork_server.jobdash("log", "--limit", "5000", "--json", env=env)
    assert log.out.isascii()
    assert len(json.loads(log.out)["events"]) > 100
    store_is_sound(hostile.path)


@pytest.mark.parametrize(
    "word",
    rest_slow(
        ["\x1b[2J\u202e", "x\udcff\udcfe", "a\nb", "[bold]", "%s%n", "'; --", "\U000e0041" * 9],
        ["\x1b[2J\u202e", "x\udcff\udcfe", "[bold]"],
    ),
)
@pytest.mark.parametrize(
    "command", ["show", "list -f", "cancel --yes", "--db", "submit", "--config", "list --sort", "nonsense"]
)
def test_a_hostile_argument_is_a_sentence(
    fork_server: ForkServer, tmp_path: Path, fresh_store: Path, word: str, command: str
) -> None:
    first = command.split()
    args = [*first, word] if command != "nonsense" else [word]
    if command in {"--db", "--config"}:
        args = [command, str(tmp_path / word.replace("/", "")), "list"]
    env = {"JOBDASH_DATABASE": str(fresh_store), "OPENAI_API_KEY": "", "GEMINI_API_KEY": ""}
    done = fork_server.jobdash(*args, env=env)
    told = done.told
    assert "Traceback" not in told
    assert "should not" not in told, told
    assert not unprintable(told), told
    assert done.code in {0, 2, 3, 5, 6}, told
