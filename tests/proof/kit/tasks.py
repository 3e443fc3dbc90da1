"""What a process is told to do, as it goes through a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobdash.config.settings import Config
from jobdash.demo.emulator import PROFILES
from jobdash.domain.account import Account, Secret


@dataclass(frozen=True)
class Task:
    """One action on one store, by a process of its own."""

    action: str
    """``cancel``, ``remove``, ``submit``, ``split``, ``sync``, ``poll``, ``dashboard``, …"""
    database: str = ""
    keys: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By account: provider, base URL, key."""
    now: int = 0
    """The time at which that process lives, milliseconds UTC."""
    remote_id: str = ""
    account: str = "openai"
    choices: dict[str, bool] = field(default_factory=dict)
    file: str = ""
    gate: str = ""
    """Where it stops and says so: ``before begin_cancel``, ``commit hide``, ``after begin_delete 2``."""

    args: list[str] = field(default_factory=list)
    """A command's arguments."""
    env: dict[str, str] = field(default_factory=dict)
    """A command's or script's whole environment."""
    output: str = ""
    """The folder that a command's or script's ``stdout`` and ``stderr`` are written to."""
    script: dict[str, Any] = field(default_factory=dict)
    """The fields of a `script.Script`."""

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Task:
        return cls(**json.loads(text))

    @property
    def accounts(self) -> tuple[Account, ...]:
        return tuple(
            Account(
                name,
                provider,
                f"{name.upper()}_KEY",
                Secret(key),
                url,
                profile=name if name in PROFILES else None,
            )
            for name, (provider, url, key) in self.keys.items()
        )

    @property
    def config(self) -> Config:
        path = Path(self.database)
        return Config(path.with_name("config.toml"), exists=False, database=path, accounts=self.accounts)
