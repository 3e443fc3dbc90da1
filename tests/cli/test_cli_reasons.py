"""What a provider says of a refusal reaches a person in every command."""

from __future__ import annotations

import json

import pytest
from cli_kit import KEYS, Cli

from jobdash.demo.emulator.faults import Answer

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
def test_why_a_key_is_refused_is_said_wherever_the_account_is(cli: Cli, status: int, body: object) -> None:
    cli.fault(Answer(status, json.dumps(body)), key=KEYS["work"])
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
    cli.fault(Answer(200, json.dumps({"error": {"message": "maintenance until 9"}})), key=KEYS["work"])

    ran = cli("sync", "--account", "work")

    assert ran.code == 1
    assert "work: the provider answered an error: maintenance until 9" in ran.err
