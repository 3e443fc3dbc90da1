"""``jobdash storage``, ``orphans`` and ``prune``: what is kept, what belongs to no job, what goes by age."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cli_kit import HOUR, KEYS, Cli

from jobdash.demo.emulator import ErrorAnswer

DAY = 24 * HOUR


def upload(cli: Cli, name: str, purpose: str = "batch") -> str:
    """Upload a file that no batch is made of, now; return its id."""
    answer = httpx2.post(
        f"{cli.server.openai_base_url}/files",
        headers={"authorization": f"Bearer {KEYS['openai']}"},
        files={"file": (name, b"{}\n")},
        data={"purpose": purpose},
    )
    return str(answer.json()["id"])


def accounts(document: Any) -> dict[str, Any]:
    return {each["account"]: each for each in document["accounts"]}


def test_storage_tells_known_from_unknown_files(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(name="nightly", total=3)
    cli("sync")
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    upload(cli, "lost.jsonl")
    upload(cli, "notes.txt", "assistants")
    document = cli.json("storage")
    found = accounts(document)["openai"]
    assert found["known"]["files"] >= 2
    assert found["known"]["bytes"] > 0
    assert (found["unknown"]["files"], found["other"]["files"]) == (1, 1)
    here = {each["what"]: each for each in document["here"]}
    assert here["store"]["bytes"] > 0
    assert here["fetched results"]["files"] >= 3
    ran = cli("storage", "--account", "openai")
    assert "of unknown batches" in ran.out
    asked = cli.calls()
    assert "store" in cli("storage", "--here").out
    assert cli.calls() == asked


def test_a_provider_without_a_list_of_files_is_no_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with cli.config.open("a") as file:
        file.write(f'''
[accounts.claude]
provider = "anthropic"
api_key_env = "CLAUDE_KEY"
base_url = "{cli.server.anthropic_base_url}"
''')
    monkeypatch.setenv("CLAUDE_KEY", cli.emulator.anthropic.key)
    for command in ("storage", "orphans"):
        ran = cli(command)
        assert (ran.code, "claude: Anthropic has no list of files" in ran.err) == (0, True)
    assert accounts(cli.json("storage"))["claude"]["error"] is None


def test_orphans_are_files_of_no_known_batch_and_old_enough(cli: Cli) -> None:
    cli.add_finished(name="nightly", total=3)
    cli("sync")
    lost = upload(cli, "lost.jsonl")
    upload(cli, "notes.txt", "assistants")
    assert cli("orphans", "--account", "openai").err.strip() == "no file of a batch is without a job"
    ran = cli("orphans", "--account", "openai", "--older", "0s")
    assert lost in ran.out
    assert "1 file, 3 B" in ran.out
    orphans = accounts(cli.json("orphans", "--older", "0s"))
    assert [file["id"] for file in orphans["openai"]["orphans"]] == [lost]
    assert orphans["gemini"]["orphans"] == []


def test_orphans_are_deleted_after_a_question(cli: Cli) -> None:
    lost = upload(cli, "lost.jsonl")
    only = ("orphans", "--account", "openai", "--older", "0s", "--remove")
    assert cli(*only).code == 4
    assert cli(*only, "--dry-run").code == 0
    assert cli.at_terminal("n\n", *only).code == 4
    assert cli.calls("DELETE") == 0
    ran = cli.at_terminal("y\n", *only)
    assert ran.code == 0
    assert "Deleted: 1 · Not deleted: 0" in ran.out
    assert cli.calls("DELETE", f"/v1/files/{lost}") == 1
    assert lost not in cli(*only).out


def test_files_of_a_batch_that_no_sync_has_seen_yet_are_no_orphans(cli: Cli) -> None:
    lost = upload(cli, "lost.jsonl")
    running = cli.add(name="nightly", total=3)
    only = ("orphans", "--account", "openai", "--older", "0s")
    assert [file["id"] for file in accounts(cli.json(*only))["openai"]["orphans"]] == [lost]
    assert cli(*only, "--remove", "--yes").code == 0
    assert cli.calls("DELETE") == 1
    later = cli.add(name="made since", total=3)
    assert cli(*only, "--remove", "--yes").err.strip() == "no file of a batch is without a job"
    assert {cli.job(batch)["status"] for batch in (running, later)} == {"in_progress"}


def test_an_account_that_cannot_be_synced_loses_nothing(cli: Cli) -> None:
    lost = upload(cli, "lost.jsonl")
    cli.fault(ErrorAnswer(403), "/v1/batches", "GET")
    ran = cli("orphans", "--account", "openai", "--older", "0s", "--remove", "--yes")
    assert ran.code == 5  # as a sync of it
    assert lost not in ran.out
    assert "openai: " in ran.err
    assert cli.calls("DELETE") == 0


def test_what_cannot_be_deleted_says_why(cli: Cli) -> None:
    batch = cli.add_finished("gemini", name="poems", total=3)
    cli.emulator.gemini.remove_batch(batch, key=KEYS["gemini"])
    ran = cli("orphans", "--account", "gemini", "--older", "0s", "--remove", "--yes")
    assert ran.code == 0
    assert "Gemini cannot delete" in ran.err
    assert "expires by itself" in ran.err
    assert "Deleted: 1 · Not deleted: 1" in ran.out
    lost = upload(cli, "lost.jsonl")
    cli.fault(ErrorAnswer(500), f"/v1/files/{lost}", "DELETE")
    document = json.loads(
        cli("orphans", "--account", "openai", "--older", "0s", "--remove", "--yes", "--json").out
    )
    assert "500" in document["kept"]["openai"][lost]


def test_an_account_that_fails_is_said_and_hides_no_other(cli: Cli) -> None:
    cli.fault(ErrorAnswer(401), "/v1/files", "GET", key=KEYS["work"])
    ran = cli("storage")
    assert ran.code == 1
    assert "work: " in ran.err
    assert cli("storage", "--account", "openai").code == 0


def test_prune_is_a_dry_run_unless_yes(cli: Cli, tmp_path: Path) -> None:
    old = cli.add_finished(name="old", total=3, age=9 * DAY)
    unfetched = cli.add_finished(name="unfetched", total=3, age=9 * DAY)
    young = cli.add_finished(name="young", total=3)
    cli("sync")
    for batch in (old, young):
        cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert cli("prune").code == 2
    spans = ("prune", "--records", "30d", "--files", "8d", "--remote", "7d")
    dry = cli(*spans)
    assert dry.code == 0
    assert "files at the provider (status:finished fetched:yes" in dry.out
    assert "dry run" in dry.err
    assert cli.calls("DELETE") == 0
    folder = Path(cli.job(old)["results_folder"])
    assert folder.exists()
    document = cli.json(*spans, "--yes")
    by_rule = {each["rule"]: each for each in document["rules"]}
    assert by_rule["remote"]["jobs"] == [cli.id_of(old)]
    assert by_rule["records"]["jobs"] == []
    assert not folder.exists()
    assert cli.job(unfetched)["files"]
    assert cli.job(young)["fetched_at"] is not None
    assert Path(cli.job(young)["results_folder"]).exists()


def test_a_second_prune_has_nothing_to_do_and_asks_nobody(cli: Cli, tmp_path: Path) -> None:
    cli.add_finished(name="old", total=3, age=9 * DAY)
    cli.add_finished("gemini", name="poems", total=3, age=9 * DAY)
    cli("sync")
    cli("fetch", "-f", "status:finished", "--out", str(tmp_path / "out"))
    first = cli("prune", "--remote", "7d", "--yes")
    assert first.code == 0
    assert "of 2 jobs, 0 failed" in first.out
    asked = cli.calls()
    again = cli("prune", "--remote", "7d", "--yes")
    assert (again.code, cli.calls()) == (0, asked)
    assert "of 0 jobs" in again.out
    assert "of 2 jobs" in cli("prune", "--files", "8d", "--yes").out
    assert "of 0 jobs" in cli("prune", "--files", "8d", "--yes").out


def test_an_age_without_a_unit_deletes_nothing(cli: Cli) -> None:
    batch = cli.add_finished(name="old", total=3, age=9 * DAY)
    cli("sync")
    for command in (("prune", "--remote", "7", "--yes"), ("orphans", "--older", "7", "--remove", "--yes")):
        ran = cli(*command)
        assert ran.code == 2
        assert "'7' has no unit: 7d is days, 7h hours" in ran.err
    with cli.config.open("a") as file:
        file.write("\n[retention]\nrecords = 7\n")
    ran = cli("prune", "--yes")
    assert (ran.code, ran.out) == (5, "")
    assert "[retention] is not used: records: '7' has no unit" in ran.err
    cli.config.write_text(cli.config.read_text().replace("records = 7", ""))
    assert cli.job(batch)["removed_at"] is None


def test_the_rules_of_the_config_file_are_used(cli: Cli) -> None:
    old = cli.add_finished(name="old", age=9 * DAY)
    cli("sync")
    with cli.config.open("a") as file:
        file.write('\n[retention]\nrecords = "8d"\n')
    ran = cli("prune", "--yes")
    assert (ran.code, ran.out) == (0, "records (status:finished older:8d): removed of 1 job, 0 failed\n")
    assert cli.job(old)["removed_at"] is not None
    with cli.config.open("a") as file:
        file.write('files = "soon"\n')
    for command in (("prune",), ("prune", "--yes"), ("prune", "--records", "1d", "--yes")):
        ran = cli(*command)
        assert (ran.code, ran.out) == (5, "")
        assert "[retention] is not used: files:" in ran.err.splitlines()[-1]
    ran = cli("list")
    assert ran.code == 0
    assert "[retention] is not used: files:" in ran.err


@pytest.mark.parametrize("command", ["sync", "storage", "storage --json", "orphans", "watch --once"])
def test_without_any_key_the_exit_code_is_that_of_credentials(cli: Cli, command: str) -> None:
    cli("list")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "WORK_KEY"):
        cli.patch.delenv(name)
    ran = cli(*command.split())
    assert ran.code == 5
    assert "json" in command or "work: no key: set WORK_KEY" in ran.err
    assert "without a job" not in ran.out + ran.err


def test_with_one_key_missing_the_others_are_listed(cli: Cli) -> None:
    cli.patch.delenv("WORK_KEY")
    for command in ("sync", "storage", "orphans", "watch --once"):
        assert cli(*command.split()).code == 1
    assert "no file of a batch at gemini, openai is without a job" in cli("orphans").err
    assert cli("storage", "--account", "work").code == 5


def test_an_account_that_does_not_answer_is_not_said_to_have_no_orphans(cli: Cli) -> None:
    cli.fault(ErrorAnswer(500), "/v1/files", "GET", key=KEYS["work"])
    ran = cli("orphans", "--account", "work")
    assert ran.code == 1
    assert "without a job" not in ran.out + ran.err
    assert "no file of a batch is without a job" in cli("orphans", "--account", "openai").err


def test_each_place_of_fetched_results_has_its_own_numbers(cli: Cli, tmp_path: Path) -> None:
    configured, by_hand = tmp_path / "auto", tmp_path / "by hand"
    text = f'auto_fetch = true\n[results]\nfolder = "{configured}"\n'
    cli.config.write_text(cli.config.read_text() + text)
    first = cli.add_finished("work", "first", total=3)
    second, third = (cli.add_finished(name=name, total=3) for name in ("second", "third"))
    cli("sync")
    cli("wait", first)
    cli("fetch", second, third, "--out", str(by_hand))
    places = [each for each in cli.json("storage", "--here")["here"] if each["what"] == "fetched results"]
    for place, folder in zip(places, (configured, by_hand), strict=True):
        files = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        assert (place["path"], place["files"], place["bytes"]) == (str(folder), len(files), size)
    ran = cli("storage", "--here")
    assert f"fetched results in {configured} " in ran.out
    assert f"fetched results in {by_hand} " in ran.out
