"""An emulated world for every test, with its own store and a clock that only tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import postgres_kit
import pytest
from local_world import LocalWorld
from operations_kit import World, made_accounts, made_config
from shared.empty_store import empty_store

from jobdash.demo.emulator import Emulator, EmulatorServer, ManualClock
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.job_lookup import Browser
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.location import StoreLocation


@pytest.fixture
async def world(tmp_path: Path, database: str) -> AsyncIterator[World]:
    clock = ManualClock()
    emulator = Emulator(clock=clock)
    with EmulatorServer(emulator) as server:
        config = made_config(tmp_path, made_accounts(server))
        if database == "postgresql":
            config = replace(config, database=postgres_kit.empty_store(config.store_path.parent))
        else:
            empty_store(config.store_path)

        def ms() -> int:
            return round(clock.now() * 1000)

        with WriterThread(config.database, "test", ms) as store:
            browser = Browser(config.database, ms)
            made = World(clock, emulator, server, config, store, browser, AccountClients(()))
            made.accounts = AccountClients(config.accounts, open_session=made.session)
            yield made
            await made.accounts.__aexit__()
            browser.close()


@pytest.fixture
def local(tmp_path: Path, database: str) -> Iterator[LocalWorld]:
    path: StoreLocation
    if database == "postgresql":
        path = postgres_kit.empty_store(tmp_path / "data")
    else:
        path = empty_store(tmp_path / "data" / "jobs.db")
    with WriterThread(path, "test") as store, Browser(path) as browser:
        yield LocalWorld(path, store, browser)
