"""From an account to its adapter: keys, addresses, ids, and what is loaded when."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import jobdash
from jobdash.domain.account import Account, Secret
from jobdash.domain.provider_info import Capabilities
from jobdash.errors import AuthRejected, ConfigError
from jobdash.providers.registry import BUNDLED, GROUP, bundled, find_provider, open_adapter, registered
from jobdash.providers.servers import key_of, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        (" http://localhost:8080 ", "http://localhost:8080"),
        ("http://host:80/a/b//", "http://host/a/b"),
        ("https://user:pass@host/x?key=1#y", "https://host/x"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_one_server_is_written_one_way(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "url", ["", "api.openai.com", "ftp://host", "https://", "https://host:port", "http://[::1"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        origin_of(url)


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-a b", "“sk-ab”", "sk-a\x00"])
def test_a_key_that_cannot_be_one_is_said_without_it(key: str) -> None:
    with pytest.raises(ConfigError, match="WORK_KEY") as caught:
        key_of(Account("work", "openai", "WORK_KEY", Secret(key)))
    assert "sk-a" not in str(caught.value)


@pytest.mark.parametrize("secret", [None, Secret(""), Secret("  ")])
def test_no_key_names_the_variable(secret: Secret | None) -> None:
    with pytest.raises(AuthRejected, match="set WORK_KEY"):
        key_of(Account("work", "openai", "WORK_KEY", secret))


def test_a_key_is_trimmed() -> None:
    assert key_of(Account("work", "openai", "WORK_KEY", Secret(" sk-x\n"))) == "sk-x"


@pytest.mark.parametrize("provider", BUNDLED)
def test_open_adapter(world: Any, provider: str) -> None:
    adapter = open_adapter(world.account(provider))
    assert adapter.origin == world.account(provider).base_url
    assert adapter.capabilities is bundled()[provider].capabilities


def test_ours_are_registered_like_any_other_provider() -> None:
    """The table that saves a look through what is installed says what the package's entry points say."""
    entries = {
        entry.name: entry.value
        for entry in entry_points(group=GROUP)
        if entry.dist and entry.dist.name == "jobdash"
    }
    assert entries == BUNDLED
    assert {name: registered()[name] for name in BUNDLED} == bundled()
    assert find_provider("bedrock") is None


def test_a_provider_that_cannot_be_loaded_is_named_with_its_error(tmp_path: Path) -> None:
    metadata = tmp_path / "jobdash_broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jobdash-broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nbroken = jobdash_broken:INFO\n")
    (tmp_path / "jobdash_broken.py").write_text("import a_package_that_is_not_there\n")
    config = tmp_path / "config.toml"
    config.write_text('[accounts.mine]\nprovider = "broken"\napi_key_env = "KEY"\n')
    command = [sys.executable, "-m", "jobdash", "--config", str(config), "sync", "--account", "mine"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == ConfigError.exit_code
    assert "provider broken is installed and cannot be loaded: ModuleNotFoundError" in run.stderr


def test_no_module_outside_providers_and_demo_names_a_provider() -> None:
    package = Path(jobdash.__file__).parent
    names = [name for info in bundled().values() for name in (info.name, info.title)]
    word = re.compile("|".join(names), re.IGNORECASE)
    found = [
        f"{path.relative_to(package)}:{number}: {line.strip()}"
        for path in sorted(package.rglob("*"))
        if path.suffix in {".py", ".sql", ".tcss"}
        and path.relative_to(package).parts[0] not in {"providers", "demo"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if word.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [field.name for field in fields(Capabilities)])
def test_every_capability_that_a_provider_declares_decides_something(name: str) -> None:
    package = Path(jobdash.__file__).parent
    read = re.compile(rf"\b(can|\w*capabilities)\.{name}\b")
    assert [path for path in package.rglob("*.py") if read.search(path.read_text())]


def test_a_provider_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="bedrock"):
        open_adapter(Account("work", "bedrock", "WORK_KEY", Secret("sk-x")))


@pytest.mark.parametrize(
    ("word", "claimants"),
    [
        ("batch_6a1f", {"openai"}),
        ("batches/abc-1", {"gemini"}),
        ("batches/", set()),
        ("batches/a/b", set()),
        ("k3f9", set()),
        ("0123456789ab", {"openai"}),
        ("nightly eval of it", set()),
    ],
)
def test_claims(word: str, claimants: set[str]) -> None:
    assert {name for name, info in bundled().items() if info.claims(word)} == claimants


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("jobdash.providers.registry", ("openai", "google", "httpx2", "stamina", "pydantic")),
        ("jobdash.providers.input_check", ("openai", "google", "httpx2", "stamina", "pydantic")),
        ("jobdash.operations.accounts.session", ("openai", "google", "httpx2", "pydantic")),
        ("jobdash.providers.openai.batches", ("google",)),
        ("jobdash.providers.gemini.batches", ("openai",)),
    ],
)
@pytest.mark.slow
def test_what_an_import_does_not_load(module: str, absent: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(absent) & set(run.stdout.split())
