"""``show``, ``log``, ``sync``, ``wait``, ``refresh-errors``, ``doctor`` and ``config``."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import pytest
from cli_kit import HOUR, KEYS, Cli
from shared.deadlines import LONG, killed, within

from jobdash.demo.emulator import (
    BatchFailure,
    BatchScript,
    Ending,
    ErrorAnswer,
    LineError,
    Phase,
    Reset,
    Switches,
)

# ── show, log ─────────────────────────────────────────────────────────────────────────────────────


def test_show_tells_everything(cli: Cli) -> None:
    batch = cli.add(name="nightly", age=30 * 60.0, failures=(BatchFailure(10),))
    cli("sync")

    ran = cli("show", batch)

    assert ran.code == 0
    told = dict(line.split("  ", 1) for line in ran.out.splitlines() if "  " in line)
    assert told["Name"].strip() == "nightly"
    assert told["Status"].strip() == "running"
    assert batch in told["At the provider"]
    assert "of 100 done" in told["Progress"]
    assert "expires in" in told["Deadline"]


def test_show_names_the_errors(cli: Cli) -> None:
    errors = (LineError("invalid_json_line", "This line is not JSON.", line=17),)
    batch = cli.add(age=600.0, ending=Ending.FAILS, line_errors=errors)
    cli("sync")

    assert "line 17: This line is not JSON. [invalid_json_line]" in cli("show", batch).out
    assert cli.job(batch)["errors"][0]["code"] == "invalid_json_line"


def test_show_of_what_is_unknown_or_removed(cli: Cli) -> None:
    # B-6 B-11
    batch = cli.add_finished()
    cli("sync")
    cli("remove", batch, "--yes")

    assert cli("show", "nope").code == 3
    assert cli.job(batch)["removed_at"] is not None
    assert "Removed" in cli("show", batch).out


def test_show_asks_first_on_request(cli: Cli) -> None:
    batch = cli.add(running=120.0)
    cli("sync")
    cli.clock.advance(600)

    assert cli.job(batch)["status"] == "in_progress"
    assert cli.json("show", batch, "--sync")["status"] == "completed"


def test_the_log_says_who_did_what_with_which_result(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    cli("sync")
    cli("cancel", batch, "--yes")
    cli("force-fail", batch, "--yes")

    events = cli.json("log")["events"]

    assert [event["action"] for event in events] == ["force-fail", "cancel"]
    assert set(events[0]) == {
        "at", "actor", "face", "action", "job_id", "job_name", "account", "result", "detail", "bulk",
    }  # fmt: skip
    assert events[1]["face"] == "cli"
    assert "@" in events[1]["actor"]
    table = cli("log", batch).out
    assert table.index("force-fail") < table.index("cancel"), "the newest first, as in JSON"
    assert cli.json("show", batch, "--events")["events"] == events
    assert "force-fail" in cli("show", batch, "--events").out
    assert len(cli.json("log", "--limit", "1")["events"]) == 1
    assert cli("log", "nope").code == 3


def test_an_empty_log(cli: Cli) -> None:
    ran = cli("log")

    assert (ran.code, ran.out) == (0, "")


# ── sync ──────────────────────────────────────────────────────────────────────────────────────────


def test_sync_tells_per_account_what_changed(cli: Cli) -> None:
    cli.add(name="nightly", running=120.0), cli.add("gemini")

    first = cli("sync")
    assert first.code == 0
    assert "openai: 1 seen · 1 new · 0 changed" in first.out
    assert "work: 0 seen · 0 new · 0 changed" in first.out
    cli.clock.advance(600)
    second = cli("sync", "--account", "openai")
    assert second.out.startswith("openai: 1 seen · 0 new · 1 changed")
    assert "nightly: completed" in second.out
    assert "gemini" not in second.out


def test_sync_as_json(cli: Cli) -> None:
    batch = cli.add(running=120.0)
    cli("sync")
    cli.clock.advance(600)

    accounts = {account["account"]: account for account in cli.json("sync", "--full")["accounts"]}

    assert set(accounts) == {"openai", "gemini", "work"}
    assert accounts["openai"]["finished"] == [cli.id_of(batch)]
    assert accounts["openai"]["error"] is None


def test_sync_exit_codes(cli: Cli) -> None:
    cli.fault(ErrorAnswer(401), key=KEYS["work"])
    some = cli("sync")
    assert some.code == 1
    assert "work: key rejected (401). Set WORK_KEY." in some.err
    assert "openai: 0 seen" in some.out
    cli.fault(ErrorAnswer(401))
    assert cli("sync").code == 5
    assert cli("sync", "--account", "nobody").code == 2


@pytest.mark.slow
def test_an_interrupted_cancel_is_told_by_the_next_sync(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    cli("sync")
    cli.fault(Reset(applied=False), "*/cancel")
    cli.emulator.latency = 30.0
    process = cli.start("cancel", batch, "--yes")
    deadline = time.monotonic() + LONG
    while cli.job(batch)["status"] != "cancelling":
        assert process.poll() is None
        assert time.monotonic() < deadline
    killed(process)
    cli.emulator.latency = 0.0

    assert "cancel was interrupted, not confirmed" in cli("sync").out
    assert cli.job(batch)["status"] == "in_progress"


# ── wait ──────────────────────────────────────────────────────────────────────────────────────────


def test_wait_asks_until_all_ended_well(cli: Cli) -> None:
    # C-7
    batch = cli.add(name="nightly", running=120.0)
    cli("show", batch)
    cli.clock.advance(600)

    ran = cli("wait", batch)

    assert ran.code == 0
    assert "completed" in ran.out
    assert "running" in ran.err


@pytest.mark.parametrize("ending", [Ending.FAILS, Ending.EXPIRES])
def test_wait_for_what_does_not_end_well(cli: Cli, ending: Ending) -> None:
    batch = cli.add(age=30 * HOUR, ending=ending)

    assert cli("wait", batch).code == 1


def test_wait_for_a_job_whose_every_request_failed(cli: Cli) -> None:
    batch = cli.add_finished(total=5, failures=(BatchFailure(5),))

    ran = cli("wait", batch, "--json")

    assert ran.code == 1
    assert ran.json["jobs"][0]["outcome"] == "all_failed"
    assert ran.json["timed_out"] is False


@pytest.mark.parametrize(
    ("failed", "code", "told"),
    [
        (0, 0, "completed  40 of 40 done\n"),
        (2, 0, "partial  40 of 40 done, 2 failed\n"),
        (40, 1, "all failed  40 of 40 done, 40 failed\n"),
    ],
)
def test_wait_says_how_many_failed(cli: Cli, failed: int, code: int, told: str) -> None:
    batch = cli.add_finished(total=40, failures=(BatchFailure(failed),) if failed else ())

    ran = cli("wait", batch)

    assert ran.code == code
    assert ran.out.endswith(f"  {told}")


def test_wait_says_that_there_is_nothing_to_wait_for(cli: Cli) -> None:
    ran = cli("wait", "-f", "name=nope")

    assert (ran.code, ran.out, ran.err) == (0, "", "no job passes the filter\n")


def test_wait_runs_out_of_time(cli: Cli) -> None:
    batch = cli.add(name="nightly")

    ran = cli("wait", batch, "--timeout", "0.1s")

    assert ran.code == 7
    assert "the time is up; 1 of 1 not finished" in ran.err


def test_wait_with_bad_names_and_bad_keys(cli: Cli) -> None:
    batch, ended = cli.add(), cli.add_finished()
    assert cli("wait", "nope").code == 3
    assert cli("wait", "nope", ended).code == 1
    cli("show", batch)
    cli.fault(ErrorAnswer(401))
    assert cli("wait", batch).code == 5


def test_wait_ends_at_ctrl_c(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    process = cli.start("wait", batch)
    assert process.stderr is not None
    assert "running" in within(process.stderr.readline)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


# ── refresh-errors ────────────────────────────────────────────────────────────────────────────────


def test_refresh_errors_of_all_failed_jobs(cli: Cli) -> None:
    #
    errors = (LineError("invalid_json_line", "This line is not JSON.", line=17),)
    cli.add(age=600.0, ending=Ending.FAILS, line_errors=errors), cli.add()
    cli("sync")

    ran = cli("refresh-errors")

    assert ran.code == 0
    assert "This line is not JSON." in ran.out
    assert ran.out.endswith("Done: 1 · Skipped: 0 · Failed: 0\n")


def test_refresh_errors_of_named_jobs(cli: Cli) -> None:
    running, lost = cli.add(), cli.add(age=600.0, ending=Ending.FAILS)
    cli("sync")
    cli.emulator.openai.remove_batch(lost, key=KEYS["openai"])

    document = cli("refresh-errors", running, lost, "--json")

    assert document.code == 1
    assert document.json["counts"] == {"done": 0, "skipped": 1, "failed": 1, "not_sent": 0}


# ── doctor, config ────────────────────────────────────────────────────────────────────────────────


def test_the_doctor_finds_nothing_wrong(cli: Cli) -> None:
    ran = cli("doctor")

    assert ran.code == 0
    assert f"✔ store: {cli.database}" in ran.out
    assert f"✔ config: {cli.config}" in ran.out
    assert "✔ account work: openai, " in ran.out
    assert "WORK_KEY is set, answers" in ran.out
    assert not any(key in ran.out + ran.err for key in KEYS.values())


def test_the_doctor_names_what_is_wrong(cli: Cli) -> None:
    cli.add(age=1.0, switches=Switches(words={Phase.VALIDATING: "marinating"}))
    cli("sync")
    cli.fault(ErrorAnswer(401), key=KEYS["work"])
    cli.config.write_text(
        cli.config.read_text()
        + "[accounts.twin]\nprovider='openai'\n"
        + (f"api_key_env='OPENAI_API_KEY'\nbase_url='{cli.server.openai_base_url}'\n")
    )

    ran = cli("doctor")

    assert ran.code == 1
    assert "unknown status words, taken for unfinished: marinating" in ran.out
    assert "✖ account work" in ran.out
    assert "key rejected (401)" in ran.out
    assert "has the same key as openai" in ran.out
    twins = {each["name"]: each["twin_of"] for each in cli("doctor", "--json").json["accounts"]}
    assert "openai" in twins.values()


def test_the_doctor_names_a_profile_and_what_its_server_does_in_another_way(cli: Cli) -> None:
    address = cli.server.profile_base_url("groq")
    account = "[accounts.{}]\nprovider='openai'\nprofile='{}'\napi_key_env='WORK_KEY'\nbase_url='{}'\n"
    cli.config.write_text(
        cli.config.read_text()
        + account.format("listed", "groq", address)
        + account.format("wrong", "novita", address)
        + "headers={'X-Team'='other'}\n"
    )
    cli.server.emulator.side("groq").add_batch(BatchScript(), key=KEYS["work"])

    ran = cli("doctor")

    assert ran.code == 0
    assert f"✔ account listed: openai, profile groq, {address}, WORK_KEY is set, answers" in ran.out
    assert "! account listed: this server answers lists without paging" in ran.out
    assert "! account wrong: this server answers lists without paging" in ran.out
    found = {account["name"]: account for account in cli("doctor", "--json").json["accounts"]}
    assert (found["work"]["profile"], found["work"]["deviations"]) == ("", [])
    assert found["wrong"]["profile"] == "novita"


def test_the_doctor_says_where_it_looked_even_if_nothing_works(cli: Cli) -> None:
    cli.config.write_text("= nonsense")
    broken = cli("doctor")
    assert broken.code == 5
    assert f"✖ config: {cli.config}" in broken.out
    cli.config.write_text("")
    cli.database.parent.mkdir()
    with closing(sqlite3.connect(cli.database)) as store:
        store.execute("CREATE TABLE something (else_ INTEGER)")
    no_store = cli("doctor")
    assert no_store.code == 6
    assert "✖ store: " in no_store.out
    assert "✔ account openai" in no_store.out
    document = cli("doctor", "--json")
    assert document.json["store"] is None
    assert document.json["store_error"]


def test_the_doctors_help_names_its_exit_codes(cli: Cli) -> None:
    told = " ".join(cli("doctor", "--help").out.partition("Exit code")[2].partition("Options")[0].split())

    assert [word for word in told.split() if word.isdecimal()] == ["0", "1", "5", "6"]


def test_the_doctor_as_json(cli: Cli) -> None:
    cli.fault(ErrorAnswer(401))

    ran = cli("doctor", "--json")

    assert ran.code == 5
    document = ran.json
    assert set(document) == {"store", "store_error", "config", "accounts", "others"}
    assert document["store"]["jobs"] == 0
    assert [account["rejected"] for account in document["accounts"]] == [True] * 3
    assert not any(key in ran.out for key in KEYS.values())


def test_config(cli: Cli) -> None:
    assert cli("config", "path").out == f"{cli.config}\n"
    assert cli.json("config", "path") == {"path": str(cli.config), "exists": True}
    shown = cli("config", "show")
    assert shown.code == 0
    assert "[accounts.work]" in shown.out
    assert "WORK_KEY is set" in shown.out
    document = cli.json("config", "show")
    assert [account["name"] for account in document["accounts"]] == ["openai", "gemini", "work"]
    assert all(account["key_present"] for account in document["accounts"])
    assert not any(key in shown.out + str(document) for key in KEYS.values())
    assert cli("config").code == 2


def test_a_job_that_cannot_be_asked_is_said_and_fails_no_account(cli: Cli) -> None:
    batch = cli.add(name="odd")
    cli("sync")
    cli.fault(ErrorAnswer(200, '{"object": "list", "data": [], "has_more": false}'), "/v1/batches")
    cli.fault(ErrorAnswer(400, '{"error": {"message": "no such id"}}'), f"/v1/batches/{batch}")

    ran = cli("sync", "--account", "openai", "--full")

    assert (ran.code, ran.err) == (0, "")
    assert "odd: could not be asked: " in ran.out
    assert "no such id" in ran.out
    assert cli.json("sync", "--account", "openai", "--full")["accounts"][0]["not_asked"] == [cli.id_of(batch)]
