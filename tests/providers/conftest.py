"""An emulator on a real port for a module's tests, and adapters that reach it with a key to look out for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobdash.demo.emulator import BatchPlan, Emulator, EmulatorServer, ListBehaviour, ManualClock, Switches
from jobdash.demo.emulator.emulator import EmulatedProvider
from jobdash.domain.account import Account, Secret
from jobdash.providers.base import Adapter, Submission
from jobdash.providers.http import Deadlines
from jobdash.providers.registry import BUNDLED, open_adapter

CANARY = "sk-canary0123456789canary"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make every warning an error here: what an SDK warns of is either avoided or known."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


@dataclass(frozen=True)
class World:
    """The emulated providers, and how to reach them."""

    emulator: Emulator
    clock: ManualClock
    urls: dict[str, str]
    """By provider."""
    key: str = CANARY

    def account(self, provider: str, **changes: object) -> Account:
        """An account of a provider, or of a profile."""
        own = provider in BUNDLED
        settings: dict[str, object] = {
            "name": provider,
            "provider": provider if own else "openai",
            "profile": None if own else provider,
            "key_env": "SOME_KEY",
            "api_key": Secret(self.key),
            "base_url": self.urls[provider],
        }
        return Account(**(settings | changes))  # type: ignore[arg-type]

    def emptied(self, provider: str, plan: BatchPlan | None = None) -> EmulatedProvider:
        """The emulated provider, with an empty account and no peculiarities."""
        found: EmulatedProvider = self.emulator.side(provider)
        found.plan, found.switches, found.listing = plan or BatchPlan(), Switches(), ListBehaviour()
        found._accounts.clear()
        return found

    def adapter(self, provider: str, deadlines: Deadlines | None = None) -> Adapter:
        adapter = open_adapter(self.account(provider))
        return adapter if deadlines is None else type(adapter)(self.account(provider), deadlines=deadlines)  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    clock = ManualClock()
    with EmulatorServer(Emulator(clock=clock)) as server:
        urls = {name: getattr(server, f"{name}_base_url") for name in BUNDLED}
        urls |= {name: server.profile_base_url(name) for name in server.emulator.profiles}
        yield World(server.emulator, clock, urls)


@pytest.fixture
def write_batch(tmp_path: Path) -> Callable[[str, int], Path]:
    """Write a sound file of so many requests for a provider."""
    lines = {
        "openai": '{{"custom_id":"r{0}","method":"POST","url":"/v1/responses","body":{{"model":"m"}}}}',
        "gemini": '{{"key":"r{0}","request":{{"contents":[]}}}}',
        "anthropic": '{{"custom_id":"r{0}","params":{{"model":"m","max_tokens":9,"messages":[{{}}]}}}}',
        "mistral": '{{"custom_id":"r{0}","body":{{"messages":[{{}}]}}}}',
    }

    def write(provider: str, count: int = 3) -> Path:
        path = tmp_path / f"{provider}.jsonl"
        path.write_text(
            "".join(lines.get(provider, lines["openai"]).format(number) + "\n" for number in range(count))
        )
        return path

    return write


@pytest.fixture
def submission(write_batch: Callable[[str, int], Path]) -> Callable[..., Submission]:
    """Make a submit of a sound file."""

    def make(provider: str, *, name: str = "nightly eval", tags: dict[str, str] | None = None) -> Submission:
        return Submission(
            path=write_batch(provider, 3),
            key="k7f3q9xz",
            name=name,
            model="model-x",
            endpoint="/v1/responses",
            tags=tags or {},
        )

    return make
