"""A provider that does not come with jobdash: installed by its entry point, seen and cancelled like ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.acme_server import KEY, AcmeServer, acme_server
from test_terminal import terminal

from jobdash.domain.account import Account, Secret
from jobdash.providers.conformance import CHECKS, Target

PACKAGE = Path(__file__).parents[1] / "providers" / "example_provider"
CHECK_NAMES = {check.__name__: check for check in CHECKS}


@pytest.fixture
def acme() -> Iterator[AcmeServer]:
    with acme_server() as server:
        yield server


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("environment")
    source = tmp_path_factory.mktemp("source")
    for file in PACKAGE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", str(folder), str(source)], check=True, capture_output=True)
    return folder


def settings(tmp_path: Path, environment: Path, acme: AcmeServer) -> dict[str, str]:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[accounts.mine]\nprovider = "acme"\napi_key_env = "ACME_KEY"\nbase_url = "{acme.url}"\n'
    )
    root = Path(__file__).parents[2]
    return {
        "HOME": str(tmp_path),
        "ACME_KEY": KEY,
        "JOBDASH_CONFIG": str(config),
        "JOBDASH_DATABASE": str(tmp_path / "d" / "j.db"),
        "PYTHONPATH": f"{root}{os.pathsep}{environment}",
    }


@pytest.mark.slow
def test_its_jobs_are_in_the_table_and_are_cancelled_from_there(
    tmp_path: Path, environment: Path, acme: AcmeServer
) -> None:
    job_id = acme.add("translate-all", total=40, answered=7)
    with terminal(["-m", "jobdash"], settings(tmp_path, environment, acme)) as running:
        running.shows("translate-all", "running", "mine")
        running.send("c")
        running.shows("Cancel 1 unfinished job?", "Keep running")
        running.answer("y", "Keep running")
        running.shows("cancelling")
        assert f"POST /jobs/{job_id}/stop" in acme.requests
        running.send("q")
        assert running.ended(8.0) == 0


@pytest.mark.slow
def test_a_file_of_its_kind_is_submitted(tmp_path: Path, environment: Path, acme: AcmeServer) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"id": "a", "prompt": "hello"}\n')
    command = [sys.executable, "-m", "jobdash", "submit", str(file), "--account", "mine"]
    env = {"PATH": os.environ["PATH"], **settings(tmp_path, environment, acme)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, [job["name"] for job in acme.jobs.values()]) == (0, ["prompts"]), done.stderr


@pytest.mark.parametrize("check", CHECK_NAMES)
async def test_it_conforms(
    check: str, tmp_path: Path, acme: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PACKAGE))
    from jobdash_acme import INFO

    file = tmp_path / "prompts.jsonl"
    file.write_text('{"id": "a", "prompt": "hello"}\n{"id": "b", "prompt": "you"}\n')

    async def complete(remote_id: str) -> None:
        acme.complete(remote_id)

    target = Target(
        info=INFO,
        account=Account("mine", "acme", "ACME_KEY", Secret(KEY), acme.url),
        input_file=file,
        keys=frozenset({"a", "b"}),
        complete=complete,
        unknown_id="job-999",
    )
    await CHECK_NAMES[check](target)
