"""A database's password from each place it may come from, in each failure: it is in no word and no file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from kit.child_processes import ForkServer, environment
from kit.terminal import on_terminal
from shared.deadlines import LONG, within

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
CANARY = "QX71zRk20aVb"
PASSWORD = f"pg-{CANARY}-word"
ADDRESS = "postgresql://ann@127.0.0.1:{port}/jobs"
CRASH = """
import sys
from jobdash.cli.main import run
from jobdash.operations.job_lookup import Browser

def broken(reader, *_):
    raise RuntimeError(f"broken over {reader._connection.raw.info.dsn} {reader._connection.raw}")

Browser.page = broken
sys.exit(run(sys.argv[1:]))
"""


@dataclass
class Session:
    """A server, a person's folders, and what was said."""

    folder: Path
    server: postgres_kit.Server
    said: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    processes: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    """By table, how many rows of the database have the password in them."""

    @property
    def address(self) -> str:
        return ADDRESS.format(port=self.server.port)

    def environment(self, **more: str) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home), **more}


def sources(session: Session, password: str) -> dict[str, dict[str, str]]:
    """By the place that a password comes from, the environment of a person who has it there."""
    folder = session.folder / "secrets"
    folder.mkdir(exist_ok=True)
    files = {
        "pass": f"*:*:*:ann:{password}\n",
        "service": f"[jobs]\nhost=127.0.0.1\nport={session.server.port}\ndbname=jobs\nuser=ann\n"
        f"password={password}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    at = session.address
    return {
        "PGPASSWORD": {"PGPASSWORD": password, "JOBDASH_DATABASE": at},
        "PGPASSFILE": {"PGPASSFILE": str(folder / "pass"), "JOBDASH_DATABASE": at},
        "passfile": {"JOBDASH_DATABASE": f"{at}?passfile={folder / 'pass'}"},
        "service": {
            "PGSERVICEFILE": str(folder / "service"),
            "JOBDASH_DATABASE": "postgresql://?service=jobs",
        },
    }


FAILURES = {
    "wrong password": {"PGPASSWORD": f"wrong-{CANARY}"},
    "unknown host": {"JOBDASH_DATABASE": "postgresql://ann@no-such-host.invalid/jobs"},
    "refused": {"JOBDASH_DATABASE": "postgresql://ann@127.0.0.1:1/jobs"},
    "wrong database": {"JOBDASH_DATABASE": "{address}x"},
    "wrong user": {"JOBDASH_DATABASE": "postgresql://bob@127.0.0.1:{port}/jobs"},
    "no schema": {"JOBDASH_DATABASE": "{address}?schema=nothing"},
    "no TLS": {"JOBDASH_DATABASE": "{address}?sslmode=require"},
    "no certificate": {"JOBDASH_DATABASE": "{address}?sslmode=verify-full&sslrootcert=/nothing"},
    "in the address": {"JOBDASH_DATABASE": f"postgresql://ann:{PASSWORD}@127.0.0.1:{{port}}/jobs"},
    "encoded": {"JOBDASH_DATABASE": f"postgresql://ann:%70g-{CANARY}-word@127.0.0.1:{{port}}/jobs"},
    "as a parameter": {"JOBDASH_DATABASE": f"{{address}}?password={PASSWORD}"},
    "of a key": {"JOBDASH_DATABASE": f"{{address}}?sslkey=/nothing&sslpassword={PASSWORD}"},
    "mistyped": {"JOBDASH_DATABASE": f"postgresql://ann:{PASSWORD}/jobs"},
}
"""By what is wrong, what a person's environment has in place of the right words."""
COMMANDS = (("list", "--debug"), ("doctor",))
MORE = (("config", "show"), ("doctor", "--json"), ("store", "upgrade"))
IN_FULL = ("wrong password", "refused", "in the address", "mistyped")
"""Failures of a script, a dashboard and more commands, too."""
FUNCTION = "import jobdash\n\n@jobdash.job\ndef double(number):\n    return 2 * number\n"
SCRIPT = "import jobdash\nfor item in jobdash.track(range(3), 'loop'): pass"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Iterator[Session]:
    given = {"port": postgres_kit.free_port(), "listen_addresses": "127.0.0.1"}
    with postgres_kit.own_folder() as place, postgres_kit.running(place, **given) as server:
        postgres_kit.admit(server, PASSWORD)
        made = Session(tmp_path_factory.mktemp("canary"), server)
        work(made, fork_server)
        run_function(made)
        fail(made, fork_server)
        made.rows = rows_with_it(made)
        lose(made)
        yield made


def call(session: Session, fork_server: ForkServer, what: str, env: dict[str, str], *args: str) -> None:
    ran = fork_server.jobdash(*args, env=env)
    name = f"{what}: {' '.join(args)}"
    session.said[name], session.codes[name] = ran.told, ran.code


def work(session: Session, fork_server: ForkServer) -> None:
    """Use the store, with the password from each place in turn."""
    for what, words in sources(session, PASSWORD).items():
        env = session.environment(**words)
        call(session, fork_server, what, env, "store", "init")
        run(session, f"{what}: script", env, sys.executable, "-c", SCRIPT)
        for args in COMMANDS:
            call(session, fork_server, what, env, *args)
        run(session, f"{what}: crash", env, sys.executable, "-c", CRASH, "list", "--debug")


def run_function(session: Session) -> None:
    """Run a function by a worker, whose engine has tables of its own."""
    env = session.environment(PGPASSWORD=PASSWORD, JOBDASH_DATABASE=session.address)
    (session.folder / "canaried.py").write_text(FUNCTION)
    (session.folder / "items.jsonl").write_text("1\n2\n")
    env["PYTHONPATH"] = f"{environment()['PYTHONPATH']}:{session.folder}"
    jobdash = (sys.executable, "-m", "jobdash")
    run(
        session, "function: run", env, *jobdash, "run", "canaried:double", str(session.folder / "items.jsonl")
    )
    run(session, "function: worker", env, *jobdash, "worker", "canaried", "--once")
    run(session, "function: list", env, *jobdash, "list")


def rows_with_it(session: Session) -> dict[str, int]:
    """Look through every table that is not the server's own, also those of the engine."""
    found = {}
    with psycopg.connect(session.server.url("jobs")) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            asked = f"SELECT count(*) FROM {table} AS row WHERE row::text LIKE '%{CANARY}%'"
            ((found[table],),) = connection.execute(asked).fetchall()
    return found


def run(session: Session, what: str, env: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, env=environment(**env), capture_output=True, text=True, timeout=LONG)
    session.said[what], session.codes[what] = done.stdout + done.stderr, done.returncode


def fail(session: Session, fork_server: ForkServer) -> None:
    """Fail in every way, with every command, and with a script and a dashboard."""
    here = {"address": session.address, "port": session.server.port}
    for what, wrong in FAILURES.items():
        words = {name: text.format(**here) for name, text in wrong.items()}
        env = session.environment(**{"PGPASSWORD": PASSWORD, "JOBDASH_DATABASE": session.address, **words})
        for args in (*COMMANDS, *(MORE if what in IN_FULL else ())):
            call(session, fork_server, what, env, *args)
        if what in IN_FULL:
            run(session, f"{what}: script", env, sys.executable, "-c", SCRIPT)
            code, told = on_terminal(env=env)
            session.codes[f"{what}: dashboard"], session.said[f"{what}: dashboard"] = code, told


def lose(session: Session) -> None:
    """Look at the dashboard and at a worker while the server goes away; and at the list of processes."""
    env = session.environment(PGPASSWORD=PASSWORD, JOBDASH_DATABASE=session.address)
    looks = session.folder / "looks.py"
    looks.write_text(_LOOKS)
    seen = subprocess.Popen(
        [sys.executable, str(looks), str(session.folder)],
        env=environment(**env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert seen.stdout is not None
    try:
        line = within(seen.stdout.readline)
        session.processes = _command_lines()
        session.server.stop()
        told, _ = seen.communicate("\n", timeout=LONG)
    finally:
        seen.kill()
    session.said["server away: dashboard"] = line + told
    run(session, "server away: script", env, sys.executable, "-c", SCRIPT)
    run(session, "server away: list", env, sys.executable, "-m", "jobdash", "list", "--debug")


def _command_lines() -> str:
    """The command line of every process, as `ps` shows them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


_LOOKS = """
import asyncio, os, sys, time
from pathlib import Path
from jobdash.config.settings import load
from jobdash.operations.job_lookup import open_browser
from jobdash.tui.app import JobdashApp
from jobdash.tui.context import DashboardContext

async def main(folder):
    config = load()
    opened = open_browser(config.database)
    opened.browser.follow()
    app = JobdashApp(DashboardContext.of(config, opened.browser, opened.read_only))
    async with app.run_test(size=(160, 45), notifications=True) as pilot:
        await pilot.pause(0.5)
        (folder / "there.svg").write_text(app.export_screenshot(), "utf-8")
        os.write(1, b"there\\n")
        await asyncio.to_thread(sys.stdin.readline)
        deadline = time.monotonic() + 30
        while opened.browser.away_since is None or "away" not in app.export_screenshot():
            assert time.monotonic() < deadline
            await pilot.pause(0.1)
        (folder / "away.svg").write_text(app.export_screenshot(), "utf-8")
        os.write(1, b"away\\n")

asyncio.run(main(Path(sys.argv[1])))
"""


def test_the_session_was_a_real_one(session: Session) -> None:
    """The password was right where it should be, and each failure was its own."""
    for what in sources(session, PASSWORD):
        assert session.codes[f"{what}: list --debug"] == 0, session.said[f"{what}: list --debug"]
        assert "loop" in session.said[f"{what}: list --debug"], session.said[f"{what}: script"]
        assert "details are in" in session.said[f"{what}: crash"]
    expected = {
        "wrong password": "refuses this user",
        "unknown host": "does not answer",
        "refused": "does not answer",
        "wrong database": "does not exist",
        "wrong user": "refuses this user",
        "no schema": "There is no jobdash store",
        "no TLS": "No encrypted connection",
        "no certificate": "No encrypted connection",
        "in the address": "must hold no password",
        "encoded": "must hold no password",
        "as a parameter": "must hold no password",
        "of a key": "must hold no password",
        "mistyped": "cannot be read",
    }
    for what, sentence in expected.items():
        for where in ("list --debug", "doctor", *(("dashboard",) if what in IN_FULL else ())):
            told = " ".join(session.said[f"{what}: {where}"].split())
            assert sentence in told, (what, where, told)
            assert session.codes[f"{what}: {where}"] in {5, 6}
        assert "Traceback" not in session.said[f"{what}: list --debug"]
    for what in IN_FULL:
        assert expected[what] in " ".join(session.said[f"{what}: script"].split())
    assert session.codes["function: worker"] == 0, session.said["function: worker"]
    assert "2/2" in session.said["function: list"]
    assert session.said["server away: dashboard"].split()[-1] == "away"
    assert session.codes["server away: list"] == 6
    assert {"there.svg", "away.svg", "debug.log"} <= {file.name for file in session.folder.rglob("*")}
    assert sys.executable in session.processes


def test_no_word_of_it_is_printed(session: Session) -> None:
    assert [name for name, text in session.said.items() if CANARY in text] == []


def test_it_is_in_no_command_line(session: Session) -> None:
    assert CANARY not in session.processes


def test_it_is_in_no_file_but_those_it_came_from(session: Session) -> None:
    written = [file for file in session.folder.rglob("*") if file.is_file()]
    secrets = {session.folder / "secrets" / name for name in ("pass", "service")}
    assert {file for file in written if CANARY.encode() in file.read_bytes()} == secrets
    log = next(file for file in written if file.name == "debug.log").read_text()
    assert "RuntimeError: broken over" in log
    assert os.fspath(session.address.rpartition("@")[0]) not in log.split("Traceback")[0]


def test_it_is_in_no_row_and_no_log_of_the_server(session: Session) -> None:
    assert {"jobdash.job", "jobdash.event"} < session.rows.keys()
    assert any(not table.startswith("jobdash.") for table in session.rows), "the engine has tables"
    assert {table for table, number in session.rows.items() if number} == set()
    log = (session.server.folder / "log").read_text(errors="replace")
    statements = [line for line in log.splitlines() if CANARY in line and "CREATE ROLE" not in line]
    assert statements == []
