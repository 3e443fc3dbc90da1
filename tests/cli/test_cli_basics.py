"""The program itself: version, help, mistakes, crashes, and what it loads."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest
from cli_kit import KEYS, ROOT, Cli
from shared.deadlines import within

from jobdash import __version__
from jobdash.cli.command import OptionalValue
from jobdash.cli.main import COMMANDS, group

HEAVY = {"asyncio", "rich", "pydantic", "sqlalchemy", "sqlmodel", "httpx2", "openai", "textual", "tomllib"}


def test_the_version_loads_nothing(cli: Cli) -> None:
    program = (
        "import sys; before = set(sys.modules); sys.argv = ['jobdash', '--version'];"
        "from jobdash.__main__ import main; main();"
        "sys.stderr.write(' '.join(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert ran.stdout == f"jobdash {__version__}\n"
    assert set(ran.stderr.split()) <= {"__future__", "gc", "jobdash", "jobdash.__main__"}
    assert cli("--version").out == ran.stdout
    assert cli("--json", "--version").code == 0


def test_list_as_json_takes_the_light_path(cli: Cli) -> None:
    cli("sync")
    (cli.folder / "config.toml").unlink()
    program = (
        "import sys; from jobdash.cli.main import run; code = run(['list', '--json']);"
        "sys.stderr.write(' '.join(sys.modules)); sys.exit(code)"
    )
    env = {name: value for name, value in os.environ.items() if name != "JOBDASH_CONFIG"}
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=env)

    assert ran.returncode == 0
    assert set(json.loads(ran.stdout)) == {"jobs", "total", "as_of"}
    assert HEAVY & set(ran.stderr.split()) == set()


def test_the_help_names_every_command_and_tells_how_completion_works(cli: Cli) -> None:
    # B-15
    ran = cli("--help")

    assert ran.code == 0
    assert all(f"  {name} " in ran.out for name in COMMANDS)
    assert "..." not in ran.out.replace("[ARGS]...", ""), "no sentence is cut"
    assert "_JOBDASH_COMPLETE=bash_source jobdash" in ran.out
    assert "Exit codes" in ran.out
    assert cli("-h").out == ran.out


@pytest.mark.parametrize("name", ["config", "store"])
def test_the_help_of_a_group_cuts_no_sentence(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ran = cli(name, "--help")
    assert "Commands:" in ran.out
    assert "..." not in ran.out.replace("[ARGS]...", "")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"config", "store"}])
def test_every_command_has_examples_and_the_shared_options(cli: Cli, name: str) -> None:
    # B-15 B-18
    ran = cli(name, "--help")

    assert ran.code == 0
    assert f"Examples:\n  jobdash {name}" in ran.out
    assert all(option in ran.out for option in ("--json", "--db", "--config", "--debug"))


def test_a_value_that_may_be_left_out_is_shown_as_it_is_typed() -> None:
    shown = {}
    with click.Context(group) as context:
        for name in COMMANDS:
            command = group.get_command(context, name)
            assert command is not None
            for option in (param for param in command.params if isinstance(param, OptionalValue)):
                record = option.get_help_record(context)
                assert record is not None
                shown[name] = record[0]

    assert shown == {"cancel": "--wait[=SPAN]", "remove": "--wait[=SPAN]"}


@pytest.mark.parametrize("name", ["cancel", "force-fail", "remove"])
def test_every_action_takes_the_same_options(cli: Cli, name: str) -> None:
    text = cli(name, "--help").out

    assert all(option in text for option in ("-f, --filter", "--account", "--dry-run", "--yes"))


def test_shared_options_stand_in_either_place(cli: Cli) -> None:
    other = str(cli.folder / "other.db")
    assert cli("sync", "--db", other).code == 0

    documents = [cli("--db", other, "--json", "list").json, cli("list", "--json", "--db", other).json]

    assert documents[0] == documents[1]
    assert (documents[0]["jobs"], documents[0]["total"]) == ([], 0)
    assert Path(other).exists()
    assert not cli.database.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("cancl",), "Did you mean cancel?"),
        (("list", "--bogus"), "--bogus"),
        (("list", "--limit", "-1"), "--limit"),
        (("list", "--sort", "size"), "no order 'size'; there are created, updated, name"),
        (("list", "--json", "--csv"), "not both"),
        (("list", "--db", ""), "is empty"),
        (("show",), "JOB"),
        ((), "wants a terminal"),
        (("--json",), "prints no JSON"),
        (("demo",), "wants a terminal"),
        (("demo", "--port", "1"), "--emulator-only"),
        (("demo", "--jobs", "3"), "--db"),
        (("wait", "k3f9", "--timeout", "never"), "not a span of time"),
    ],
)
def test_wrong_usage_is_one_sentence(cli: Cli, args: tuple[str, ...], words: str) -> None:
    ran = cli(*args)

    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("text", "words"), [("accounts = 3", "has to hold tables"), ("= nonsense", "Invalid")]
)
def test_a_broken_config_is_named(cli: Cli, text: str, words: str) -> None:
    cli.config.write_text(text)

    ran = cli("list")

    assert ran.code == 5
    assert words in ran.err
    assert str(cli.config) in ran.err


def test_a_key_in_the_config_is_refused_and_never_repeated(cli: Cli) -> None:
    cli.config.write_text("[accounts.work]\napi_key = 'sk-secret-secret-secret'")

    for ran in (cli("list"), cli("doctor"), cli("config", "show"), cli("sync", "--account", "work")):
        assert "does not belong in the file" in ran.out + ran.err
        assert "sk-secret" not in ran.out + ran.err
    assert ran.code == 5


def test_a_config_that_was_named_has_to_exist(cli: Cli) -> None:
    assert cli("list", "--config", str(cli.folder / "nothing.toml")).code == 5


def test_what_the_config_says_that_nobody_knows_is_a_warning(cli: Cli) -> None:
    cli.config.write_text("[wat]\nx = 1\n")

    ran = cli("list", "--json")

    assert ran.code == 0
    assert "warning: " in ran.err
    assert "[wat] is not known" in ran.err


def test_stores_that_cannot_be_used(cli: Cli) -> None:
    assert cli("list", "--db", "postgresql://host/jobs").code == 6
    nonsense = cli.folder / "nonsense.db"
    nonsense.write_text("this is no database, though it is long enough to be one")
    ran = cli("list", "--db", str(nonsense))
    assert ran.code == 6
    assert "is not a jobdash store. Name another file with --db." in ran.err
    ran = cli("list", "--db", str(cli.folder))
    assert ran.code == 6
    assert f"{cli.folder} is a folder, and no jobdash store. Name a file with --db." in ran.err
    cli("list")
    with closing(sqlite3.connect(cli.database)) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
        store.commit()
    ran = cli("list")
    assert ran.code == 6
    assert "newer jobdash" in ran.err


def test_without_an_account_it_says_how_to_get_one(cli: Cli) -> None:
    cli.config.write_text("")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        cli.patch.delenv(name)

    assert "export OPENAI_API_KEY=" in cli("list").err
    assert "or try: jobdash demo · jobdash doctor" in cli("list").err
    doctor = cli("doctor").out
    assert "or try: jobdash demo" in doctor
    assert "jobdash doctor" not in doctor
    for command in (("sync",), ("cancel", "--all-pending"), ("list", "--sync"), ("submit", "x.jsonl")):
        ran = cli(*command)
        assert ran.code == 5
        assert "No account yet." in ran.err


def test_a_crash_is_a_sentence_and_with_debug_a_log_without_keys(cli: Cli) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError(f"the key was {KEYS['openai']}")

    cli.patch.setattr("jobdash.operations.job_lookup.Browser.page", broken)

    ran = cli("list")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert KEYS["openai"] not in ran.err
    assert "--debug" in ran.err

    ran = cli("list", "--debug")
    log = cli.database.parent / "debug.log"
    assert str(log) in ran.err
    assert "RuntimeError" in log.read_text()
    assert KEYS["openai"] not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_more_than_can_be_counted_is_all(cli: Cli) -> None:
    job = cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    most = "9" * 30
    assert len(cli.json("list", "--limit", most)["jobs"]) == 1
    assert cli("log", "--limit", most).code == 0
    assert cli("show", job, "--items", "--limit", most).code == 0


def test_a_reader_who_leaves_ends_it_quietly(cli: Cli) -> None:
    cli("demo", "--jobs", "3000", "--db", str(cli.folder / "many.db"))
    process = cli.start("list", "--limit", "0", "--csv", "--db", str(cli.folder / "many.db"))
    assert process.stdout is not None
    assert process.stderr is not None
    within(process.stdout.readline)
    process.stdout.close()

    assert process.wait(20) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_terminal_that_speaks_ascii_only_does_not_crash_it(cli: Cli) -> None:
    cli.add(name="商品説明 · ✔")
    cli("sync")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}

    process = cli.start("list", env=env)
    out, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "???? ? ?" in out


def test_ids_names_of_accounts_and_commands_are_completed(cli: Cli) -> None:
    batch = cli.add(name="nightly \x1b[31m")
    cli("sync")
    job = cli.id_of(batch)

    def completed(*words: str) -> str:
        env = {**os.environ, "_JOBDASH_COMPLETE": "zsh_complete", "COMP_WORDS": " ".join(words)}
        env["COMP_CWORD"] = str(len(words) - 1)
        process = cli.start(env=env)
        return process.communicate(timeout=20)[0]

    assert job in completed("jobdash", "show", job[:2])
    assert "\x1b" not in completed("jobdash", "show", job[:2])
    assert "work" in completed("jobdash", "sync", "--account", "w")
    assert "force-fail" in completed("jobdash", "fo")


def test_completion_makes_no_store(cli: Cli) -> None:
    env = {
        **os.environ,
        "_JOBDASH_COMPLETE": "bash_complete",
        "COMP_WORDS": "jobdash show ",
        "COMP_CWORD": "2",
    }

    process = cli.start(env=env)
    out, err = process.communicate(timeout=20)

    assert (out.strip(), err) == ("", "")
    assert not cli.database.exists()
