"""The world of the demo: the emulator in this process, a throw-away store, and accounts that lead there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobdash.config.settings import Config
from jobdash.demo.emulator import Emulator, EmulatorServer
from jobdash.demo.samples import KEYS, seed_emulator
from jobdash.domain.account import Account, Secret


@contextmanager
def demo_world() -> Iterator[Config]:
    """Yield the settings of a demo; reads no environment and no config file, and leaves nothing behind."""
    emulator = Emulator(keys=frozenset(KEYS.values()))
    seed_emulator(emulator, emulator.clock.now())
    with (
        tempfile.TemporaryDirectory(prefix="jobdash-demo-", ignore_cleanup_errors=True) as folder,
        EmulatorServer(emulator) as server,
    ):
        yield Config(
            path=Path(folder) / "config.toml",
            exists=False,
            database=Path(folder) / "demo.db",
            accounts=tuple(_account(name, key, server) for name, key in KEYS.items()),
            demo=True,
        )


def _account(name: str, key: str, server: EmulatorServer) -> Account:
    provider = "gemini" if name == "gemini" else "openai"
    url = server.gemini_base_url if provider == "gemini" else server.openai_base_url
    return Account(name, provider, f"DEMO_{name.upper()}_KEY", Secret(key), url)
