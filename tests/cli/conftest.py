"""A person at a shell, with three accounts at emulated providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import Cli, config_text, emulated, environment


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    with emulated() as (emulator, clock, server):
        for name in ("GOOGLE_API_KEY", "NO_COLOR", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment(tmp_path, server).items():
            monkeypatch.setenv(name, value)
        (tmp_path / "config.toml").write_text(config_text(server))
        yield Cli(tmp_path, emulator, clock, server, monkeypatch, capsys)


@pytest.fixture
def batch_file(tmp_path: Path) -> Path:
    """Return a file of one request for OpenAI."""
    body = {"custom_id": "r1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
    path = tmp_path / "nightly.jsonl"
    path.write_text(json.dumps(body) + "\n")
    return path
