"""From an account to its adapter: keys, addresses, ids, and what is loaded when."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from jobdash.config.settings import Account, Secret
from jobdash.errors import AuthRejected, ConfigError
from jobdash.providers.registry import ADAPTERS, CLAIMS, open_adapter
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


@pytest.mark.parametrize("provider", ADAPTERS)
def test_open_adapter(world: Any, provider: str) -> None:
    adapter = open_adapter(world.account(provider))
    assert adapter.origin == world.account(provider).base_url
    for word in ("batch_6a1f", "batches/abc", "k3f9"):
        assert adapter.claims(word) is CLAIMS[provider](word)


def test_a_provider_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="mistral"):
        open_adapter(Account("work", "mistral", "WORK_KEY", Secret("sk-x")))


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
    assert {provider for provider, claims in CLAIMS.items() if claims(word)} == claimants


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("jobdash.providers.registry", ("openai", "google", "httpx2", "stamina", "pydantic")),
        ("jobdash.providers.input_check", ("openai", "google", "httpx2", "stamina", "pydantic")),
        ("jobdash.operations.account_session", ("openai", "google", "httpx2", "pydantic")),
        ("jobdash.providers.openai.batches", ("google",)),
        ("jobdash.providers.gemini.batches", ("openai",)),
    ],
)
@pytest.mark.slow
def test_what_an_import_does_not_load(module: str, absent: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(absent) & set(run.stdout.split())
