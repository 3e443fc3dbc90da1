"""What an SDK warns, logs or prints does not reach the terminal, whatever the environment asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobdash.demo.emulator import Emulator, EmulatorServer, ErrorAnswer, FaultRule

_SYNC = """
import asyncio, logging, sys, warnings
from jobdash.domain.account import Account, Secret
from jobdash.providers.registry import open_adapter

async def main():
    async with open_adapter(Account("g", sys.argv[1], "K", Secret("sk-test-key"), sys.argv[2])) as adapter:
        page = await adapter.list()
        print(ascii(page.jobs[0].raw_status))

asyncio.run(main())
warnings.warn("odd \\x1b]0;title\\x07")
for name in ("google_genai.batches", "openai", "httpx2", "google.auth", "asyncio", "root"):
    logging.getLogger(name).error("odd \\x1b]0;title\\x07")
"""
STATE = "BATCH_STATE_\\u001b]0;pwned\\u0007\\u001b[2J"
GEMINI = f'{{"operations": [{{"name": "batches/1", "metadata": {{"state": "{STATE}"}}}}]}}'
OPENAI = f'{{"object": "list", "data": [{{"id": "batch_1", "status": "{STATE}"}}], "has_more": false}}'


@pytest.mark.parametrize(("provider", "body"), [("gemini", GEMINI), ("openai", OPENAI)])
@pytest.mark.parametrize("asked", [{}, {"PYTHONWARNINGS": "always", "OPENAI_LOG": "debug"}])
@pytest.mark.slow
def test_nothing_an_sdk_says_reaches_the_terminal(
    provider: str, body: str, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator()
    emulator.faults.add(FaultRule(effect=ErrorAnswer(200, body=body)))
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with EmulatorServer(emulator) as server:
        url = server.gemini_base_url if provider == "gemini" else server.openai_base_url
        done = subprocess.run(
            [sys.executable, "-c", _SYNC, provider, url],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ascii(STATE.encode().decode("unicode_escape"))
    assert done.stderr == ""
