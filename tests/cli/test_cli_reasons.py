"""What a provider says of a refusal reaches a person in every command."""

from __future__ import annotations

import json

import pytest
from cli_kit import KEYS, Cli
from shared.local_kit import LAPSED, begin

from jobdash.demo.emulator import BatchFailure
from jobdash.demo.emulator.faults import ErrorAnswer

_SCOPES = "Missing scopes: api.batch.read.\nAsk an owner of the project."
_ON_ONE_LINE = "Missing scopes: api.batch.read. Ask an owner of the project."


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": _SCOPES, "code": None}},
        {"detail": _SCOPES},
        {"detail": [{"msg": _SCOPES}]},
        {"errors": _SCOPES},
        {"error": _SCOPES},
    ],
)
@pytest.mark.slow
def test_why_a_key_is_refused_is_said_wherever_the_account_is(cli: Cli, status: int, body: object) -> None:
    cli.fault(ErrorAnswer(status, json.dumps(body)), key=KEYS["work"])
    words = f"key rejected ({status}): {_ON_ONE_LINE}"

    synced = cli("sync", "--account", "work")

    assert synced.code == 5
    assert f"work: {words}" in synced.err
    assert "Set WORK_KEY" not in synced.err
    assert cli("sync", "--account", "work", "--json").json["accounts"][0]["error"] == words
    assert words in cli("doctor").out
    facts = {each["name"]: each for each in cli("doctor", "--json").json["accounts"]}
    assert facts["work"]["error"] == words


def test_an_error_inside_a_200_is_told(cli: Cli) -> None:
    cli.fault(ErrorAnswer(200, json.dumps({"error": {"message": "maintenance until 9"}})), key=KEYS["work"])

    ran = cli("sync", "--account", "work")

    assert ran.code == 1
    assert "work: the provider answered an error: maintenance until 9" in ran.err


def test_show_names_the_requests_that_failed(cli: Cli) -> None:
    failures = (
        BatchFailure(2, "context_length_exceeded", "Too long."),
        BatchFailure(30, "boom", "No [bold]."),
    )
    batch = cli.add_finished(total=40, failures=failures)
    cli("sync")
    before = cli("show", batch)
    assert "32 of 32" not in before.out
    hint = f"jobdash refresh-errors {cli.id_of(batch)} asks for them"
    assert hint in before.out
    assert cli.job(batch)["errors_truncated"] is True

    ran = cli("refresh-errors")  # of all that failed or completed with failures

    assert ran.code == 0
    assert "Done: 1" in ran.out
    job = cli.job(batch)
    assert job["errors_truncated"] is False
    assert [(g["code"], g["count"], len(g["custom_ids"])) for g in job["error_groups"]] == [
        ("boom", 30, 12),
        ("context_length_exceeded", 2, 2),
    ]
    ids = [error["custom_id"] for error in job["errors"]]
    assert len(set(ids)) == 32
    shown = cli("show", batch, "--events")
    assert "Errors (32)" in shown.out
    assert "  2 × Too long. [context_length_exceeded]" in shown.out
    assert ", ".join(job["error_groups"][1]["custom_ids"]) in shown.out
    assert "and 18 more" in shown.out
    assert hint not in shown.out
    assert "refresh-errors" in shown.out
    items = cli("show", batch, "--items", "--limit", "0").out
    assert all(f"error    {key}  " in items for key in ids)


def test_a_job_has_one_word_in_every_command(cli: Cli) -> None:
    words = {
        "partial": cli.id_of(cli.add_finished(total=4, failures=(BatchFailure(1, "boom", "No."),))),
        "all failed": cli.id_of(cli.add_finished(total=4, failures=(BatchFailure(4, "boom", "No."),))),
        "completed": cli.id_of(cli.add_finished(total=4)),
        "running": cli.id_of(cli.add()),
    }
    run = begin(cli.database, "resize", lease_ms=LAPSED, total=9)
    words["stalled"] = next(job["id"] for job in cli.json("list")["jobs"] if job["name"] == "resize")
    del run
    shown = {job["id"]: job["shown_status"] for job in cli.json("list")["jobs"]}
    assert shown == {public: word for word, public in words.items()}
    lines = {line.split()[0]: line for line in cli("list").out.splitlines()}
    for word, public in words.items():
        assert f"  {word}  " in lines[public]
        facts = [line.split(maxsplit=1) for line in cli("show", public).out.splitlines()]
        assert ["Status", word] in facts
        assert cli.job(public)["shown_status"] == word
    for text in ("partial", "all_failed", '"all failed"', "stalled"):
        (found,) = cli.json("list", "-f", f"status:{text}")["jobs"]
        assert found["id"] == words[text.strip('"').replace("_", " ")]
    assert len(cli.json("list", "-f", "status:partial,stalled")["jobs"]) == 2
    assert len(cli.json("list", "-f", "status:completed")["jobs"]) == 3  # which is what its provider says
    for word in ("partial", "all_failed", "stalled", "local time"):
        assert word in cli("list", "--help").out
