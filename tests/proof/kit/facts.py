"""What must hold of a store at any moment, and of a store and its providers in the end."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from kit.world import KEYS, World


def store_is_sound(path: Path) -> None:
    """The file is whole, and the kept counts are those one would count."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.execute("PRAGMA foreign_key_check").fetchall() == []
        tally = store.execute("SELECT account, tab, n FROM tally WHERE n <> 0")
        kept = {(account, tab): number for account, tab, number in tally}
        counted = Counter(store.execute("SELECT account, tab FROM job").fetchall())
        assert kept == dict(counted)
        revision = store.execute("SELECT revision FROM meta").fetchone()[0]
        assert (store.execute("SELECT max(revision) FROM job").fetchone()[0] or 0) <= revision


def nothing_is_lost(world: World) -> None:
    """Every batch of the providers is one job here, and no job here is none of theirs."""
    kept = Counter((row.account, row.remote_id) for row in world.rows() if row.remote_id is not None)
    there = {(account, id_) for account, ids in world.batches().items() for id_ in ids}
    assert set(kept) >= {pair for pair in there if pair[0] in world_accounts(world)}
    assert set(kept.values()) <= {1}


def world_accounts(world: World) -> set[str]:
    """The accounts that were ever asked."""
    return {name for (name,) in world.sql("SELECT name FROM account")} & set(KEYS)
