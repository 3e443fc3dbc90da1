"""Hostile texts and numbers in databases of several collations: they do with them what a file does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
from kit.hostile import hostile_strings

from jobdash.domain.filter.language import FIELDS, parse
from jobdash.domain.items import ItemStatus
from jobdash.domain.remote_job import RemoteError, RemoteJob
from jobdash.domain.status import Status, Tab
from jobdash.errors import FilterError
from jobdash.store import server_store
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.copying import check_store, copy_store
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import Actor
from jobdash.store.sort_orders import SORT_ORDERS, Scope, Sort
from jobdash.store.writer import Writer

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
NOW = 1_800_000_000_000
LETTERS = [
    "a", "A", "b", "B", "ä", "Ä", "z", "Z", "é", "É", "e\u0301", "ß", "SS", "ss", "I", "i", "ı", "İ", "Σ",
    "ς", "σ", "_", "-", "a b", "a-b", "ab", "aB", "Ab", "10", "9", "1", " a", "~", "ﬁ", "fi", "Ａ", "ÀÁ",
    "100%", "100", "a\\b", "co-op", "coop", "CO-OP", "résumé", "resume", "Résumé", "ёлка", "Ёлка", "елка",
]  # fmt: skip
"""What languages order and fold in ways of their own."""
STRINGS = [*hostile_strings(), *LETTERS]
_ONE_IN_SQLITE = frozenset("\ufffd\ufffe\uffff")
"""Its LIKE takes each for the first, PostgreSQL's and Python's do not."""
NUMBERS = (None, 0, 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 10**30)
_ALIKE = (
    "UPDATE job SET updated_at = created_at, public_id = 'id-' || id;"
    " UPDATE job SET created_at = 1, started_at = 1, finished_at = 1 WHERE name = 'items';"
    " UPDATE job SET updated_at = 1 WHERE name = 'items'"
)
"""What is each store's own, by its clock or by chance."""
COLLATIONS = {
    "bytes": "LOCALE 'C' TEMPLATE template0",
    "unicode": "LOCALE 'C.UTF-8' TEMPLATE template0",
    "english": "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8' TEMPLATE template0",
    "turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8' TEMPLATE template0",
}
"""How a database is made, by what orders its texts where nothing says how."""


def filled(location: StoreLocation) -> StoreLocation:
    """Put the same jobs, tags, errors and items into a store."""
    with Writer(location, lambda: NOW, Actor("ann", "desk", "cli", current_owner())) as writer:
        for start in range(0, len(STRINGS), 50):
            some = enumerate(STRINGS[start : start + 50], start)
            writer.upsert("openai", "openai", "https://api.example", [remote(*pair) for pair in some], NOW)
        with_id = [f"id {text[:60]}" for text in LETTERS]
        named = [replace(remote(9_000 + n, id_), remote_id=id_) for n, id_ in enumerate(with_id)]
        writer.upsert("openai", "openai", "https://api.example", named, NOW)
    connection = open_for_worker(location)
    lease = claim(connection, ClaimRequest("items", current_owner(), "ann@desk", True, 60_000)).lease
    unlike = list(dict.fromkeys(text[:200].replace("\0", "0") for text in STRINGS))
    lease.expect([key.encode("utf-8", "replace").decode() for key in unlike[:100]])
    for number, text in enumerate(unlike):
        key = text.encode("utf-8", "replace").decode()
        if number % 3:
            lease.write_items([ItemWrite(key, "ok", f'"{number}"')])
        else:
            lease.write_items([ItemWrite(key, "error", None, "ValueError", key)])
    lease.finish("completed", "done")
    connection.close()
    raw(location, _ALIKE)
    return location


def raw(location: StoreLocation, sql: str) -> None:
    if isinstance(location, PostgresLocation):
        postgres_kit.raw(location, sql)
    else:
        with closing(sqlite3.connect(location)) as connection:
            connection.executescript(sql)


def remote(number: int, text: str) -> RemoteJob:
    count = NUMBERS[number % len(NUMBERS)]
    return RemoteJob(
        remote_id=f"batch_{number:05}",
        status=list(Status)[number % len(Status)],
        raw_status=text[:40],
        name=text,
        created_at=NOW - number * 1000,
        model=text[:200] or None,
        endpoint=text[:200] or None,
        total=count,
        succeeded=count,
        failed=NUMBERS[(number + 3) % len(NUMBERS)],
        metadata={"note": text[:400], f"k{text[:50]}": "v"},
        errors=(RemoteError(text, text[:100]),),
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp("file") / "jobs.db"
    ensure_store(path)
    with Reader(filled(path), lambda: NOW) as reader:
        yield reader


@pytest.fixture(scope="module")
def unicode_server() -> Iterator[postgres_kit.Server]:
    with postgres_kit.own_folder() as folder, postgres_kit.system_server(folder) as running:
        yield running


@pytest.fixture(scope="module", params=COLLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Reader]:
    """The same in a database of each collation."""
    with_icu = "icu" in COLLATIONS[request.param]
    running = request.getfixturevalue("unicode_server") if with_icu else postgres_kit.server()
    running.run(f"CREATE DATABASE text_{request.param} ENCODING 'UTF8' {COLLATIONS[request.param]}")
    location = PostgresLocation(running.url(f"text_{request.param}"))
    server_store.create(location)
    with Reader(filled(location), lambda: NOW) as reader:
        yield reader
    running.run(f"DROP DATABASE text_{request.param} WITH (FORCE)")


def seen(rows: list[Any]) -> list[Any]:
    """Rows without what is each store's own."""
    return [replace(row, revision=0) for row in rows]


def test_every_value_is_kept_alike(file: Reader, server: Reader) -> None:
    rows = [seen(reader.page(Scope(), Sort("created"), None, 1_000)) for reader in (file, server)]
    assert len(rows[0]) == len(STRINGS) + len(LETTERS) + 1
    assert rows[0] == rows[1]
    ids = [row.id for row in rows[0]]
    jobs = [
        {job_id: (job.tags, job.errors, job.metadata) for job_id, job in reader.jobs(ids).items()}
        for reader in (file, server)
    ]
    assert jobs[0] == jobs[1]
    assert file.counts().by_account == server.counts().by_account
    assert check_store(server.location) == []


@pytest.mark.parametrize("order", SORT_ORDERS)
def test_every_order_is_the_same_page_by_page(file: Reader, server: Reader, order: str) -> None:
    for descending, tab in product((False, True), (Tab.ALL, Tab.COMPLETED, Tab.FAILED)):
        assert walked(file, Scope(tab), Sort(order, descending)) == walked(
            server, Scope(tab), Sort(order, descending)
        )


def walked(reader: Reader, scope: Scope, sort: Sort) -> list[Any]:
    """All rows of an order, page by page there and back, with where each stands."""
    found: list[Any] = []
    behind = None
    while page := reader.page(scope, sort, behind, 37):
        found += page
        behind = reader.key_of(page[-1], sort)
    back = reader.page_from_end(scope, sort, 37)
    while back and (page := reader.page_before(scope, sort, reader.key_of(back[0], sort), 37)):
        back = page + back
    assert back == found
    places = [reader.position(scope, sort, reader.key_of(row, sort)) for row in found[::41]]
    assert places == list(range(0, len(found), 41))
    return [(row.name, row.remote_id) for row in found]


def filters() -> list[str]:
    """Every field with every text that can be asked for, in either case."""
    found = []
    for text in STRINGS:
        word = "".join(letter for letter in text[:30] if letter not in "\"'\0")
        if word.strip() and not _ONE_IN_SQLITE & set(word):
            found += [
                f'"{word}"',
                f'"{word.lower()}"',
                f'"{word.upper()}"',
                f'tag:"{word}"',
                f'model:"{word}"',
            ]
    for letters, field in product(LETTERS, FIELDS):
        found += [f'{field}:"{letters}"', f'{field}="{letters}"', f'-{field}:"{letters}"']
    return list(dict.fromkeys(found))


def test_every_filter_finds_the_same(file: Reader, server: Reader) -> None:
    asked = 0
    for text in filters():
        try:
            scope = Scope(conditions=parse(text))
        except FilterError:
            continue
        asked += 1
        ids = [reader.search(scope, Sort("name", descending=False)) for reader in (file, server)]
        assert ids[0] == ids[1], text
        assert [reader.count(scope) for reader in (file, server)] == [len(ids[0])] * 2, text
    assert asked > 1_000


def test_ids_and_prefixes_find_the_same(file: Reader, server: Reader) -> None:
    for text in LETTERS:
        found = [[row.name for row in reader.by_remote(f"id {text}")] for reader in (file, server)]
        assert found[0] == found[1] == [f"id {text}"]


def test_items_are_kept_and_counted_alike(file: Reader, server: Reader) -> None:
    (job,) = [row.id for row in file.page(Scope(), Sort("created"), None, 1_000) if row.name == "items"]
    items = [
        [item._replace(at=0) for item in reader.iter_items(job, waiting=True)] for reader in (file, server)
    ]
    assert items[0] == items[1]
    assert len(items[0]) > 300
    assert file.item_counts(job) == server.item_counts(job)
    assert file.item_errors(job) == server.item_errors(job)
    failed = [reader.items(job, ItemStatus.ERROR, -1, 1_000) for reader in (file, server)]
    assert [item.key for item in failed[0]] == [item.key for item in failed[1]]


def test_a_copy_into_a_file_is_what_the_file_was(file: Reader, server: Reader, tmp_path: Path) -> None:
    copy_store(server.location, tmp_path / "copy.db")
    with Reader(tmp_path / "copy.db", lambda: NOW) as copied:
        for order in SORT_ORDERS:
            assert walked(copied, Scope(), Sort(order)) == walked(file, Scope(), Sort(order))
