"""Mistakes in the settings that only the dashboard stumbles over: found by ``doctor``, ``config show``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_kit import Cli

SETTINGS = """
[ui]
theme = "jobdash-drak"
sort = "-age"
columns = ["name", "colour"]

[keys]
"job.cancle" = "ctrl+x"
"job.retry" = "ctrl+q"
"job.remove" = "?"
"job.undo" = "ctrl-u"
"view.mark" = "ctrl+p"
"job.fetch" = "j"
"one.cancel" = "tab"
"""
WORDS = (
    "[ui] columns: colour is not known; there are name",
    "[ui] theme jobdash-drak is not known; there are",
    "[ui] sort -age is not known; there are created",
    "[keys] job.cancle is not known; do you mean job.cancel?",
    "[keys] job.retry: ctrl+q is also the key of quit (built in)",
    "[keys] job.remove: question_mark is also the key of app.help",
    "[keys] job.undo: no key is called 'ctrl-u'",
    "[keys] view.mark: ctrl+p is also the key of palette (built in)",
    "[keys] job.fetch: j is also the key of table.down",
    "[keys] one.cancel: tab is also the key of next page (built in)",
)


def test_doctor_and_config_show_find_what_the_dashboard_finds(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + SETTINGS)

    doctor, shown = cli("doctor"), cli("config", "show")

    for words in WORDS:
        assert f"! config: {cli.config}: {words}" in doctor.out
        assert f"warning: {cli.config}: {words}" in shown.err
    for warnings in (cli.json("doctor")["config"]["warnings"], cli.json("config", "show")["warnings"]):
        assert len(warnings) == len(WORDS)
    assert doctor.code == shown.code == 0


def test_sound_settings_warn_of_nothing(cli: Cli) -> None:
    more = '[ui]\ntheme = "nord"\nsort = "+name"\n[keys]\n"job.cancel" = "f2,ctrl+k"\n"job.retry" = "."\n'
    cli.config.write_text(cli.config.read_text() + more)

    assert cli.json("doctor")["config"]["warnings"] == []
    assert "warning" not in cli("config", "show").err


UNUSABLE = """
[accounts.elsewhere]
provider = "bedrock"
api_key_env = "ELSEWHERE_KEY"
"""
SENTENCE = (
    "account elsewhere is not used: no provider 'bedrock' is installed; "
    "there are openai, gemini, anthropic, mistral"
)


def test_an_account_whose_provider_is_not_installed_is_the_only_one_that_fails(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + UNUSABLE)
    batch = cli.add_finished(name="nightly")

    synced = cli("sync")

    assert synced.code == 1
    assert synced.err.count(SENTENCE) == 1
    for args in (("list",), ("show", batch), ("sync", "--account", "openai"), ("remove", batch, "--yes")):
        ran = cli(*args)
        assert (ran.code, ran.err.count(SENTENCE)) == (0, 1), args


def test_an_account_whose_provider_is_not_installed_is_shown_with_the_reason(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + UNUSABLE)

    doctor, shown = cli("doctor"), cli("config", "show")

    reason = SENTENCE.partition(": ")[2]
    assert (doctor.code, shown.code) == (1, 0)
    assert f"✖ account elsewhere: bedrock: {reason}" in doctor.out
    assert f"[accounts.elsewhere]\nprovider  bedrock\nnot used  {reason}" in shown.out
    (facts,) = [one for one in cli("doctor", "--json").json["accounts"] if one["name"] == "elsewhere"]
    assert facts["error"] == reason
    assert cli.json("config", "show")["unusable_accounts"] == [
        {"name": "elsewhere", "provider": "bedrock", "reason": reason}
    ]


def test_a_sync_as_json_lists_the_accounts_with_a_mistake_too(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + UNUSABLE)
    synced = cli("sync", "--json")
    accounts = {each["account"]: each for each in synced.json["accounts"]}
    assert synced.code == 1
    assert accounts["elsewhere"]["error"] == SENTENCE.partition(": ")[2]
    assert accounts["elsewhere"].keys() == accounts["openai"].keys()
    (asked,) = cli.json("sync", "--account", "openai")["accounts"]
    assert asked["account"] == "openai"


def test_a_command_that_names_an_account_without_a_provider_ends_with_the_reason(
    cli: Cli, batch_file: Path
) -> None:
    cli.config.write_text(cli.config.read_text() + UNUSABLE)
    file = str(batch_file)
    for args in (
        ("sync", "--account", "elsewhere"),
        ("submit", file, "--account", "elsewhere"),
        ("cancel", "--all-pending", "--account", "elsewhere", "--yes"),
    ):
        ran = cli(*args)
        assert (ran.code, ran.err.splitlines()[-1]) == (5, f"jobdash: {SENTENCE}"), args
    cli.config.write_text(f'default_account = "elsewhere"\n{cli.config.read_text()}')
    assert cli("submit", file).code == 5
    assert cli("submit", file, "--account", "openai", "--dry-run").code == 0


def test_a_file_is_not_sent_to_another_account_because_one_has_no_provider(
    cli: Cli, batch_file: Path
) -> None:
    cli.config.write_text("[accounts.gemini]\nenabled = false\n" + UNUSABLE)

    ran = cli("submit", str(batch_file), "--dry-run")

    words = "--account has to say which: openai (elsewhere is not used now)"
    assert (ran.code, words in ran.err) == (2, True)


MISTAKE = """
[accounts.work]
profile = "grok"
"""


def test_a_mistake_in_an_account_leaves_the_others_and_all_commands_working(cli: Cli) -> None:
    batch = cli.add("work", "nightly")
    cli("sync")
    cli.config.write_text(cli.config.read_text().replace("[accounts.work]", MISTAKE.strip()))
    sentence = "account work is not used: profile 'grok' is not known; there are openai, azure, groq"

    assert cli("sync").code == 1
    assert cli("list").err.count(sentence) == cli("show", batch).err.count(sentence) == 1
    assert f"✖ account work: openai: {sentence.partition(': ')[2]}" in cli("doctor").out
    (job,) = cli.json("list")["jobs"]
    assert job["account"] == "work"  # which no other account with its server has taken over

    refused = cli("cancel", batch, "--yes")
    assert (refused.code, sentence in refused.out) == (1, True), refused
    assert cli("wait", batch, "--timeout", "1").code == 5
    assert cli("show", batch, "--sync").code == 1
    assert cli("sync", "--account", "work").code == cli("submit", "x", "--account", "work").code == 5


def test_where_no_account_can_be_used_each_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name)
    cli.config.write_text(UNUSABLE)

    ran = cli("sync")

    assert (ran.code, ran.err.splitlines()[-1]) == (5, f"jobdash: no account can be used; {SENTENCE}")
    assert "No account yet" not in cli("doctor").out


def test_the_doctor_names_the_variable_that_is_missing_beside_another(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-key-az-key")
    words = "AZURE_OPENAI_API_KEY is set and AZURE_OPENAI_ENDPOINT is not; both make an account at Azure"

    assert f"! config: {words}" in cli("doctor").out
    assert cli.json("doctor")["config"]["warnings"][0].startswith(words)
    assert "AZURE" not in cli("list").err  # there are other accounts
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name)
    cli.config.write_text("")
    assert words in cli("sync").err


def test_a_file_that_cannot_be_parsed_ends_every_command(cli: Cli) -> None:
    cli.config.write_text("[accounts.work")
    assert cli("list").code == cli("sync").code == cli("doctor").code == 5
