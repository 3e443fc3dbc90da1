"""What is loaded when: proven on ``sys.modules`` of a process of its own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import postgres_kit
import pytest
from kit.child_processes import environment
from shared.slices import rest_slow

from jobdash.providers.registry import BUNDLED

SDKS = {"openai", "google", "anthropic", "mistralai", "httpx2", "stamina"}
DATABASE = {"sqlalchemy", "sqlmodel", "pydantic", "alembic", "psycopg"}
FACES = {"textual", "rich", "click"}
PRICES = {"genai_prices"}
SERVER = {"starlette", "uvicorn"}
SHOW = "import sys; print('\\n'.join(sys.modules))"


def loaded(code: str, *args: str) -> set[str]:
    """The modules a process has loaded by the time it ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SHOW}", *args],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.splitlines())


def command(*args: str) -> set[str]:
    return loaded("import sys; from jobdash.cli.main import run; assert run(sys.argv[1:]) == 0", *args)


def test_a_users_script_that_imports_jobdash_loads_nothing_else() -> None:
    found = loaded("import jobdash")
    assert {name for name in found if name.startswith("jobdash")} == {"jobdash"}
    assert not found & (SDKS | DATABASE | FACES | SERVER | {"asyncio"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with jobs in it: an empty one would ask for less."""
    path = tmp_path_factory.mktemp("lazy") / "jobs.db"
    command("demo", "--jobs", "20", "--db", str(path))
    return path


@pytest.mark.postgres
@pytest.mark.slow
def test_a_script_whose_store_is_on_a_server_loads_its_driver_alone(tmp_path: Path) -> None:
    location = postgres_kit.empty_store(tmp_path)
    found = loaded(
        "import os, sys, jobdash; os.environ['JOBDASH_DATABASE'] = sys.argv[1]\n"
        "with jobdash.track([1], 'x', key=str) as job:\n    for item in job:\n        with item: pass",
        location.address,
    )
    assert "psycopg" in found
    assert not found & (SDKS | (DATABASE - {"psycopg"}) | FACES | SERVER)
    assert postgres_kit.raw(location, "SELECT remote_status FROM job") == [("completed",)]


def test_a_script_whose_store_is_a_file_loads_no_other_driver(tmp_path: Path) -> None:
    found = loaded(
        "import os, sys, jobdash; os.environ['JOBDASH_DATABASE'] = sys.argv[1]\n"
        "for item in jobdash.track([1], 'x'): pass",
        str(tmp_path / "data" / "jobs.db"),
    )
    assert not found & (SDKS | DATABASE | FACES | SERVER)
    assert "jobdash.store.dialects.postgres" not in found


LOOKS = [["list", "--json"], ["list", "--csv"], ["list"], ["log"], ["log", "JOB"], ["show", "JOB"], ["cost"]]


@pytest.mark.parametrize("args", rest_slow(LOOKS, [LOOKS[0], LOOKS[2], LOOKS[5]]), ids=" ".join)
def test_a_command_that_only_looks_loads_neither_database_nor_sdk(made: Path, args: list[str]) -> None:
    with closing(sqlite3.connect(made)) as store:
        (job,) = store.execute("SELECT public_id FROM job LIMIT 1").fetchone()
    found = command(*(job if arg == "JOB" else arg for arg in args), "--db", str(made))
    assert not found & (SDKS | DATABASE | SERVER | PRICES | {"textual", "asyncio"})


def test_a_command_that_writes_loads_neither_database_nor_sdk(made: Path) -> None:
    found = command("force-fail", "-f", "status:pending", "--yes", "--db", str(made))
    assert "jobdash.store.writer" in found
    assert not found & (SDKS - {"stamina"} | DATABASE | SERVER | {"textual"})


def test_list_json_is_the_leanest_of_all(made: Path) -> None:
    found = command("list", "--json", "--db", str(made))
    assert not found & {
        "rich",
        "asyncio",
        "logging",
        "csv",
        "tomllib",
        "concurrent.futures",
        "locale",
        "shlex",
        "jobdash.cli.tables",
        "jobdash.domain.failures",
        "jobdash.domain.items",
        "jobdash.domain.results",
        "jobdash.store.records",
        "jobdash.store.schema.tables",
    }


def test_what_prices_batches_loads_the_table_of_prices_with_the_first_batch() -> None:
    assert not loaded("import jobdash.operations.polling.sync, jobdash.operations.results.collect") & PRICES


@pytest.mark.parametrize("args", [["--help"], ["cancel", "--help"], ["config", "path"], ["--version"]])
def test_help_loads_next_to_nothing(args: list[str]) -> None:
    code = "import sys; from jobdash.cli.main import run; run(sys.argv[1:])"
    found = loaded(code, *args)
    assert not found & (SDKS | DATABASE | SERVER | {"textual", "asyncio"})


def test_the_dashboard_imports_neither_database_nor_sdk() -> None:
    modules = [
        f"import jobdash.tui.{'.'.join(path.relative_to(root).with_suffix('').parts)}"
        for root in [Path(__file__).parents[2] / "jobdash" / "tui"]
        for path in sorted(root.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    assert len(modules) > 20
    found = loaded(
        "import jobdash.tui.run, jobdash.tui.app, jobdash.tui.context, jobdash.operations.job_lookup"
    )
    assert not found & (SDKS | DATABASE | SERVER | PRICES)
    assert not loaded("\n".join(modules)) & (SDKS | DATABASE | SERVER | PRICES)


@pytest.mark.parametrize("module", ["jobdash.operations.job_lookup", "jobdash.operations.planning"])
def test_what_the_faces_read_and_plan_with_needs_the_standard_library_only(module: str) -> None:
    assert not loaded(f"import {module}") & (SDKS | DATABASE | FACES | SERVER | {"asyncio"})


@pytest.mark.parametrize("provider", rest_slow(BUNDLED, ["anthropic", "mistral"]))
def test_an_adapter_loads_no_sdk_but_its_own(provider: str) -> None:
    found = loaded(f"import jobdash.providers.{provider}.batches")
    own = {"openai": "openai", "gemini": "google.genai"}.get(provider)
    assert {"openai", "google.genai", "anthropic", "mistralai"} & found == ({own} if own else set())
    assert not found & (DATABASE - {"pydantic"})
