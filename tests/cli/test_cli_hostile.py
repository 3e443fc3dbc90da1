"""Names, errors and ids that try to style, script, crash or fake; and keys that must show up nowhere."""

from __future__ import annotations

import json
import sqlite3
import time
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from cli_kit import KEYS, Cli, Ran

from jobdash.demo.emulator import Ending, ErrorAnswer, LineError

HOSTILE = (
    "ansi \x1b[31;5mred\x1b[0m \x1b]0;title\x07 \x9b31m end",
    "line\nCancelled: 99\r\n\x0b\x85\u2028fake",
    "bidi \u202egnp.exe\u202c \u2066x\u2069",
    "nul \x00 del \x7f bell \x07",
    "[bold red]markup[/] [link=https://evil]x[/link] {braces} %s",
    "zero\u200bwidth\ufeff \u00ad soft " + "e" + "\u0301" * 40,
    "tab\tseparated\tcolumns",
    "long " + "x" * 5000,
    "😀 wide 商品 \udcff",
)
ALLOWED = {"\n"}
FAR = (253_402_300_799_999, -62_135_596_800_000, 2**63 - 1, -(2**63))


def harmless(text: str) -> bool:
    """Whether a terminal shows this text as it is, and nothing else happens."""
    return all(
        char in ALLOWED or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text
    )


@pytest.fixture
def hostile(cli: Cli) -> Cli:
    """A store full of such jobs."""
    for name in HOSTILE:
        wire = name.replace("\udcff", "")
        errors = (LineError(f"code {wire}"[:200], f"message {wire}"[:1000], line=1, param=wire[:100]),)
        cli.add(name=wire[:512], metadata={"tag": wire[:400]})
        cli.add("gemini", name=wire[:512], age=600.0, ending=Ending.FAILS, line_errors=errors)
        cli.add("work", name=wire[:512], age=600.0, ending=Ending.FAILS, line_errors=errors)
    assert cli("sync").code == 0
    return cli


def every_human_output(cli: Cli) -> list[Ran]:
    jobs = cli.json("list", "--limit", "0")["jobs"]
    names = [job["id"] for job in jobs]
    running = [job["id"] for job in jobs if job["status"] == "in_progress"]
    return [
        cli("list"),
        cli("list", "--csv"),
        *(cli("show", name, "--events") for name in names[::2]),
        cli("sync"),
        cli("cancel", "--all-pending", "--dry-run"),
        cli("cancel", *running[:3], "--yes"),
        cli.at_terminal("n\n", "cancel", *running),
        cli("force-fail", *running[3:5], "--reason", HOSTILE[0], "--yes"),
        cli("refresh-errors"),
        cli("remove", *names[:6], "--yes"),
        cli("remove", "-f", "status:failed", "--dry-run"),
        cli("undo", "--dry-run"),
        cli.at_terminal("n\n", "undo"),
        cli("undo", "--yes"),
        cli("wait", *running, "--timeout", "0.05s"),
        cli("log"),
        cli("doctor"),
    ]


def test_no_name_gets_through_to_the_terminal(hostile: Cli) -> None:
    for ran in every_human_output(hostile):
        assert harmless(ran.out), ran.out
        assert harmless(ran.err), ran.err
        assert ran.code in {0, 1, 4, 7}, ran.err
        assert "\nCancelled: 99" not in ran.out


def test_json_is_exact_and_in_ascii(hostile: Cli) -> None:
    ran = hostile("list", "--json", "--limit", "0")

    assert ran.out.isascii()
    assert harmless(ran.out)
    names = {job["name"] for job in ran.json["jobs"]}
    assert HOSTILE[0] in names
    assert HOSTILE[1] in names


@pytest.mark.parametrize("word", HOSTILE)
def test_no_argument_gets_through_either(cli: Cli, word: str) -> None:
    runs = [
        cli("show", word),
        cli("cancel", word, "--yes"),
        cli("wait", word),
        cli("list", "-f", f"nofield:'{word}'"),
        cli("list", "--sort", word),
        cli("list", "--limit", word),
        cli("list", f"--{word}"),
        cli("sync", "--account", word),
        cli("submit", word.replace("\x00", "")[:50], "--account", "openai"),
        cli("config", word),
        cli(word),
    ]
    for ran in runs:
        assert ran.code in {2, 3}, (ran.code, ran.err)
        assert harmless(ran.out)
        assert harmless(ran.err), ran.err


def test_a_providers_words_are_gated(cli: Cli) -> None:
    batch = cli.add()
    cli("sync")
    cli.fault(ErrorAnswer(400, json.dumps({"error": {"message": HOSTILE[0] + HOSTILE[1] + HOSTILE[2]}})))

    for ran in (cli("cancel", batch, "--yes"), cli("sync"), cli("doctor"), cli("show", "batch_nobody")):
        assert ran.code == 1
        assert harmless(ran.out)
        assert harmless(ran.err)


def test_no_key_shows_up_anywhere(hostile: Cli, tmp_path: Path) -> None:
    cli = hostile
    told = [*every_human_output(cli), cli("list", "--json"), cli("log", "--json"), cli("config", "show")]
    echoed = json.dumps({"error": {"message": f"bad key {KEYS['openai']} and {KEYS['work']}"}})
    cli.fault(ErrorAnswer(401, echoed))
    told += [cli("sync"), cli("doctor"), cli("doctor", "--json"), cli("cancel", "batch_nobody"), cli("log")]
    cli.emulator.faults.clear()
    cli.fault(ErrorAnswer(400, echoed))
    told += [cli("sync"), cli("sync", "--json"), cli("cancel", "--all-pending", "--yes")]
    told += [cli("list", "--json")]

    assert not any(key in ran.out + ran.err for key in KEYS.values() for ran in told)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != cli.config]
    assert files
    assert not any(key.encode() in path.read_bytes() for key in KEYS.values() for path in files)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Etc/GMT+12", "Pacific/Kiritimati"])
def test_times_beyond_every_calendar(cli: Cli, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """A batch that never expires, and whatever else a store may hold."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    ids = [cli.add(name=f"far-{number}") for number in range(len(FAR))]
    assert cli("sync").code == 0
    try:
        with closing(sqlite3.connect(cli.database, isolation_level=None)) as store:
            for remote_id, ms in zip(ids, FAR, strict=True):
                columns = ("created_at", "started_at", "finished_at", "expires_at", "cancel_requested_at")
                sets = ", ".join(f"{column} = {ms}" for column in columns)
                store.execute(f"UPDATE job SET {sets} WHERE remote_id = ?", (remote_id,))
        for args in (("list",), ("list", "--csv"), ("list", "--json"), *(("show", one) for one in ids)):
            ran = cli(*args, "--events") if args[0] == "show" else cli(*args)
            assert ran.code == 0, ran.err
            assert "should not" not in ran.err
    finally:
        monkeypatch.undo()
        time.tzset()
