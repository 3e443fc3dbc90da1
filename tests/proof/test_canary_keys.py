"""A session with keys that would be known anywhere: they are in no file, on no screen, in no log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kit.child_processes import ForkServer, environment

from jobdash.demo.emulator import (
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Ending,
    ErrorAnswer,
    FaultRule,
    LineError,
    Timing,
)

pytestmark = pytest.mark.slow

CANARY = "QX71zRk20aVb"
OPENAI = f"sk-proj-{CANARY}-abcdefgh"
GEMINI = f"AIza{CANARY}Gemini0123456789"
WORK = f"plain.{CANARY}.words"
"""A key of no known shape: only who was told it can know it."""
ANTHROPIC = f"sk-ant-api03-{CANARY}-abcdefgh"
MISTRAL = f"{CANARY}mistral0123456789abcdefgh"
ALL = (OPENAI, GEMINI, WORK, ANTHROPIC, MISTRAL)
ECHO = (
    f"Incorrect API key provided: {OPENAI}, {GEMINI} or {WORK}. Authorization: Bearer {WORK}; "
    f"x-api-key: {ANTHROPIC}; {MISTRAL}; "
    f'x-goog-api-key: {GEMINI}; see https://api.example/v1?key={WORK}&x=1 and {{"api_key": "{OPENAI}"}}'
)
HEADERS = {"x-echo": f"Bearer {OPENAI}", "www-authenticate": f'Bearer realm="{WORK}"'}
CONFIG = """
[accounts.work]
provider = "openai"
api_key_env = "WORK_KEY"
base_url = "{url}"
"""
CRASH = f"""
import sys
from jobdash.cli.main import run
from jobdash.operations.job_lookup import Browser

def broken(*_):
    key = {WORK!r}
    try:
        raise ValueError("Bearer " + key)
    except ValueError:
        raise RuntimeError("with " + key + " and {OPENAI}")

Browser.page = broken
sys.exit(run(sys.argv[1:]))
"""


@dataclass
class Session:
    """What was said and what was left behind."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


def echoing(server: EmulatorServer) -> None:
    """Let the providers repeat keys wherever they say anything."""
    emulator = server.emulator
    told = json.dumps({"error": {"message": ECHO, "code": OPENAI, "type": WORK}})
    plan = BatchPlan(timing=Timing(validating=0, running=36_000))
    broken = BatchPlan(
        timing=Timing(validating=0),
        ending=Ending.FAILS,
        line_errors=(LineError(OPENAI, ECHO, 3, param=WORK),),
    )
    for provider, key in (
        (emulator.openai, OPENAI),
        (emulator.gemini, GEMINI),
        (emulator.anthropic, ANTHROPIC),
        (emulator.mistral, MISTRAL),
    ):
        provider.add_batch(BatchScript(name="runs", plan=plan), key=key)
        provider.add_batch(BatchScript(name=f"named {key}", model=WORK, plan=plan), key=key)
        metadata = {"note": ECHO[:500], "key": WORK}
        provider.add_batch(
            BatchScript(name="broken", metadata=metadata, created_at=emulator.clock.now() - 60, plan=broken),
            key=key,
        )
    for rule in (
        FaultRule(effect=ErrorAnswer(401, told, HEADERS), key=WORK),
        FaultRule(effect=ErrorAnswer(400, told, HEADERS), method="POST", path="*cancel"),
        FaultRule(
            effect=ErrorAnswer(400, f"<html>{ECHO}</html>", HEADERS), method="POST", path="/v1/batches"
        ),
    ):
        emulator.faults.add(rule)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("canary")
    made = Session(folder)
    with EmulatorServer(Emulator(keys=set(ALL) - {WORK})) as server:
        echoing(server)
        config = folder / "config.toml"
        config.write_text(CONFIG.format(url=server.openai_base_url), "utf-8")
        env = server.environment(
            openai_key=OPENAI, gemini_key=GEMINI, anthropic_key=ANTHROPIC, mistral_key=MISTRAL
        ) | {
            "WORK_KEY": WORK,
            "JOBDASH_CONFIG": str(config),
            "JOBDASH_DATABASE": str(folder / "data" / "jobs.db"),
            "XDG_CONFIG_HOME": str(folder / "xdg"),
            "XDG_DATA_HOME": str(folder / "xdg"),
        }
        lines = folder / "lines.jsonl"
        line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-x"}}
        lines.write_text(json.dumps(line) + "\n", "utf-8")
        talk(made, fork_server, env, lines)
        pictures(made, env)
        yield made


def talk(session: Session, fork_server: ForkServer, env: dict[str, str], lines: Path) -> None:
    """Call every command."""

    def call(*args: str) -> None:
        session.said[" ".join(args)] = fork_server.jobdash(*args, env=env).told

    for args in (
        "sync",
        "list",
        "list --json --sync",
        "list --csv",
        "cancel -f status:running --yes",
        "force-fail -f name:runs --yes",
        "refresh-errors -f status:failed",
        "remove -f name:broken --remote --yes",
        "undo --yes",
        f"submit {lines} --account openai --tag team=search",
        f"submit {lines} --account work",
        "show batch_000000000000000000000000",
        "wait -f status:finished --timeout 1",
        "log",
        "log --json",
        "doctor",
        "doctor --json",
        "config show",
        "config show --json",
        "list -f nonsense:1",
    ):
        call(*args.split())
    call("list", "-f", f"error:{WORK}")
    call("submit", str(lines), "--account", "openai", "--name", f"my {WORK}", "--tag", f"key={GEMINI}")
    jobs = json.loads(session.said["list --json --sync"].partition("\nwork:")[0])["jobs"]
    for name in ("named [secret]", "broken"):
        job = next(job["id"] for job in jobs if job["name"] == name)
        call("show", job, "--events")
        call("show", job, "--json")
    for args in ("--debug", "--json"):
        done = subprocess.run(
            [sys.executable, "-c", CRASH, "list", args],
            env=environment(**env),
            capture_output=True,
            text=True,
        )
        session.said[f"crash {args}"] = done.stdout + done.stderr


def pictures(session: Session, env: dict[str, str]) -> None:
    folder = session.folder / "pictures"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "kit.picture", str(folder)],
        env=environment(**env),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    session.said["dashboard"] = done.stdout + done.stderr


def test_the_session_was_a_real_one(session: Session) -> None:
    """The keys were echoed, and what was said of it was shown, without them."""
    said = session.said
    assert "key rejected (401)" in said["sync"]
    assert said["doctor"].count("WORK_KEY is set") == 1
    assert "[secret]" in said["cancel -f status:running --yes"]
    assert "[secret]" in said["log --json"]
    assert "named [secret]" in said["list"]
    assert "should not" in said["crash --debug"]
    assert "details are in" in said["crash --debug"]
    assert {"debug.log", "jobs.db", "main.svg", "job.svg", "live-jobs.db", "live-jobs.db-wal"} <= {
        Path(name).name for name in session.files
    }
    log = next(data for name, data in session.files.items() if name.endswith("debug.log")).decode()
    assert "RuntimeError: with [secret] and [secret]" in log
    assert "ValueError: Bearer [secret]" in log


def test_no_key_is_printed(session: Session) -> None:
    assert [name for name, text in session.said.items() if CANARY in text] == []


def test_no_key_is_in_any_file(session: Session) -> None:
    found = {name: data for name, data in session.files.items() if CANARY.encode() in data}
    assert list(found) == []


def test_no_key_is_the_name_of_anything(session: Session) -> None:
    assert [path for path in session.folder.rglob("*") if CANARY in path.name] == []
