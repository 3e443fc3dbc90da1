"""``jobdash list``: the table, CSV, JSON, and how fresh they are."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
from typing import Any

import pytest
from cli_kit import HOUR, KEYS, Cli
from shared.deadlines import read_terminal

from jobdash.demo.emulator import Ending, ErrorAnswer, Switches

FIELDS = (
    "id, provider, account, remote_id, name, status, raw_status, remote_status, outcome, status_reason,"
    " verdict, model, endpoint, total, succeeded, failed, cancelled, expired, remaining, created_at,"
    " started_at, finished_at, updated_at, expires_at, cancel_requested_at, removed_at, gone_at, attempt,"
    " parent_id, child_ids, tags, usage, error, files, deleted_at_provider, left_behind, stalled,"
    " shown_status,"
    " fetched_at, results_folder, results_expire_at, results, input_tokens, output_tokens"
)
TIMES = [field.strip() for field in FIELDS.split(",") if field.strip().endswith("_at")]
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_table_has_the_id_first_and_the_newest_on_top(cli: Cli) -> None:
    #
    cli.add(name="older", age=HOUR)
    newer = cli.add("gemini", name="newer")
    cli("sync")

    ran = cli("list")

    head, first, second = ran.out.splitlines()
    assert head.split()[:8] == ["ID", "NAME", "ACCOUNT", "STATUS", "DONE", "FAILED", "AGE", "LEFT"]
    assert first.split()[:4] == [cli.id_of(newer), "newer", "gemini", "running"]
    assert "older" in second
    assert re.fullmatch(r"as of \d+s ago\n", ran.err)


def test_a_job_as_json_has_every_field(cli: Cli) -> None:
    cli.add(name="nightly", metadata={"team": "search"})
    cli.add_finished("gemini", "poems")
    cli.add(name="silent", switches=Switches(null_counts=True))
    cli("sync")

    document = cli.json("list")

    assert document["total"] == 3
    assert RFC3339.fullmatch(document["as_of"])
    by_name = {job["name"]: job for job in document["jobs"]}
    for job in by_name.values():
        known = [field.strip() for field in FIELDS.split(",")]
        assert list(job)[: len(known)] == known  # a new one comes last
        assert all(job[field] is None or RFC3339.fullmatch(job[field]) for field in TIMES)
    nightly = by_name["nightly"]
    assert (nightly["status"], nightly["tags"]["team"]) == ("in_progress", "search")
    assert nightly["remaining"] == nightly["total"] - nightly["succeeded"] - nightly["failed"]
    assert (by_name["poems"]["outcome"], by_name["poems"]["verdict"]) == ("ok", None)
    assert by_name["silent"]["total"] is by_name["silent"]["remaining"] is None


def test_csv(cli: Cli) -> None:
    cli.add(name='with "quotes", and commas')
    cli("sync")

    (row,) = csv.DictReader(io.StringIO(cli("list", "--csv").out))

    assert row["name"] == 'with "quotes", and commas'
    assert row["status"] == "in_progress"
    assert row["removed_at"] == ""


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)"])
def test_no_name_becomes_a_spreadsheets_formula(cli: Cli, name: str) -> None:
    cli.add(name=name)
    cli("sync")

    (row,) = csv.DictReader(io.StringIO(cli("list", "--csv").out))

    assert row["name"] == f"'{name}"


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("created", ["c", "a", "b"]),
        ("-total", ["b", "c", "a"]),
    ],
)
def test_sorted(cli: Cli, order: str, names: list[str]) -> None:
    cli.add(name="a", total=10, age=200.0)
    cli.add(name="b", total=30, age=100.0)
    cli.add(name="c", total=20, age=300.0)
    cli("sync")

    assert [job["name"] for job in cli.json("list", "--sort", order)["jobs"]] == names


def test_a_limit_says_what_it_leaves_out(cli: Cli) -> None:
    cli("demo", "--jobs", "700", "--db", str(cli.database))

    assert len(cli("list").out.splitlines()) == 101
    ran = cli("list", "--limit", "3")
    assert len(ran.out.splitlines()) == 4
    assert re.search(r"3 of \d+ jobs; --limit 0 shows all", ran.err)
    document = cli.json("list", "--limit", "0", "--removed")
    assert len(document["jobs"]) == document["total"] == 700
    assert len({job["id"] for job in document["jobs"]}) == 700


def test_filtered(cli: Cli) -> None:
    #
    cli.add(name="nightly eval"), cli.add("work", "nightly"), cli.add_finished(name="daily")
    cli("sync")

    def names(expr: str) -> list[Any]:
        return sorted(job["name"] for job in cli.json("list", "-f", expr)["jobs"])

    assert names("nightly") == ["nightly", "nightly eval"]
    assert names("status:running account!=work") == ["nightly eval"]
    assert names("older:1h") == ["daily"]
    assert names("'nightly eval'") == ["nightly eval"]
    assert names("status:failed") == []
    assert cli("list", "-f", "status:failed").err.startswith("no job passes the filter")


@pytest.mark.parametrize(
    ("expr", "words", "place"),
    [
        ("older:2h sttaus:failed", "no field 'sttaus'; there are id, name, account", 9),
        ("status:wrong", "no status 'wrong'", 0),
        ("name:a 'open", "a quote is not closed", 7),
        ("商品 total:x", "wants a number", 5),
    ],
)
def test_a_mistake_in_a_filter_is_shown_at_its_place(cli: Cli, expr: str, words: str, place: int) -> None:
    ran = cli("list", "-f", expr)

    assert ran.code == 2
    sentence, shown, caret = ran.err.splitlines()
    assert words in sentence
    assert shown == f"  {expr}"
    assert caret == f"  {' ' * place}^"


def test_removed_jobs_are_shown_on_request(cli: Cli) -> None:
    batch = cli.add_finished(name="nightly")
    cli("sync")
    cli("remove", batch, "--yes")

    assert cli.json("list")["jobs"] == []
    assert cli.json("list", "--removed")["total"] == 1
    (job,) = cli.json("list", "-f", "removed:yes")["jobs"]
    assert job["removed_at"] is not None
    assert " removed " in cli("list", "--removed").out


def test_sync_first(cli: Cli) -> None:
    cli.add(name="nightly")

    assert cli.json("list")["total"] == 0
    assert cli.json("list", "--sync")["total"] == 1


def test_a_failing_account_is_said_and_the_rest_is_shown(cli: Cli) -> None:
    cli.add(name="nightly")
    cli.fault(ErrorAnswer(401), key=KEYS["work"])

    ran = cli("list", "--sync")

    assert ran.code == 1
    assert "nightly" in ran.out
    assert "work: key rejected (401). Set WORK_KEY." in ran.err


def test_before_the_first_sync_nobody_pretends_to_know(cli: Cli) -> None:
    ran = cli("list", "--json")

    assert ran.json == {"jobs": [], "total": 0, "as_of": None}
    assert "never asked yet" in cli("list").err


def test_at_a_terminal_it_is_drawn_with_colours_unless_nobody_wants_them(cli: Cli) -> None:
    # B-15
    cli.add(age=600.0, name="nightly [bold]x[/bold]", ending=Ending.FAILS)
    cli("sync")

    coloured = drawn(cli)
    assert "\x1b[" in coloured
    assert "nightly [bold]x[/bold]" in re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    cli.patch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(cli)


def drawn(cli: Cli) -> str:
    """Return what ``list`` writes to a terminal."""
    master, slave = pty.openpty()
    process = cli.start("list", stdout=slave, env={**os.environ, "TERM": "xterm-256color"})
    os.close(slave)
    written = b"".join(read_terminal(master))
    os.close(master)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    return written.decode()


def test_on_a_narrow_terminal_only_the_name_gives_way(cli: Cli) -> None:
    batch = cli.add(name="a name that is much too long for a terminal of eighty columns, really")
    cli("sync")
    cli.patch.setenv("COLUMNS", "80")
    cli.patch.setenv("NO_COLOR", "1")

    _, line = re.sub(r"\x1b\[[0-9;]*m", "", drawn(cli)).splitlines()[:2]

    assert line.startswith(f"{cli.id_of(batch)}  a name that")
    assert "…" in line
    assert line.split()[-3:-1] == ["0", "1m"]
    assert len(line.rstrip()) <= 80


def test_what_needs_attention_is_a_filter_and_a_field(cli: Cli) -> None:
    cli.add(name="fine")
    failed = cli.add_finished(name="broken", ending=Ending.FAILS)
    cli("sync")

    found = cli.json("list", "-f", "attention:yes")["jobs"]

    assert [(job["name"], job["attention"]) for job in found] == [("broken", ["failed"])]
    (line,) = csv.DictReader(io.StringIO(cli("list", "-f", "attention:any", "--csv").out))
    assert line["attention"] == "failed"
    heads, row = cli("list", "-f", "attention:yes").out.splitlines()
    assert heads.endswith("  WHY")
    assert "failed" in row[heads.index("WHY") :]
    assert "WHY" not in cli("list", "-f", "attention:no").out + cli("list").out
    assert cli.json("list", "-f", "attention:no")["jobs"][0]["attention"] == []
    assert cli.json("list", "-f", "attention:stalled,pending-long")["total"] == 0
    assert re.search(r"^Attention +failed$", cli("show", cli.id_of(failed)).out, re.MULTILINE)
