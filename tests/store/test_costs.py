"""Costs in the store: when one is to be computed anew, their sums, and stores of before there were any."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shared.store_files import build_store
from store_kit import HOUR, START, HandClock, one, put, raw, remote

from jobdash.domain.cost import Cost
from jobdash.domain.filter.language import parse
from jobdash.domain.status import Status, Tab
from jobdash.store.reader import Reader
from jobdash.store.schema.migrate import MIGRATIONS, upgrade
from jobdash.store.sort_orders import Scope, Sort
from jobdash.store.writer import Writer

TOKENS = {"input_tokens": 10, "output_tokens": 20, "cached_tokens": 5}


def stale(reader: Reader) -> list[str | None]:
    return [row.remote_id for row in reader.stale_costs(0, 100)]


def settle(writer: Writer, reader: Reader, cost: Cost | None = None) -> None:
    writer.set_costs([(row, cost) for row in reader.stale_costs(0, 100)])


def test_a_cost_is_to_be_computed_when_tokens_become_known_or_change(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1", Status.IN_PROGRESS, model="m"))
    assert stale(reader) == []
    put(writer, remote("batch_1", Status.IN_PROGRESS, model="m", **TOKENS), at=START + 1)
    assert stale(reader) == ["batch_1"]
    settle(writer, reader)
    assert stale(reader) == []
    put(writer, remote("batch_1", Status.COMPLETED, model="m", **TOKENS), at=START + 2)
    assert stale(reader) == []
    put(
        writer, remote("batch_1", Status.COMPLETED, model="m", **TOKENS | {"output_tokens": 21}), at=START + 3
    )
    assert stale(reader) == ["batch_1"]


def test_a_cost_is_to_be_computed_when_the_model_becomes_known(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1", Status.COMPLETED, **TOKENS))
    settle(writer, reader)
    put(writer, remote("batch_1", Status.COMPLETED, model="m", **TOKENS), at=START + 1)
    assert stale(reader) == ["batch_1"]


def test_what_a_first_sync_finds_is_to_be_priced(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1", Status.COMPLETED, **TOKENS), remote("batch_2", Status.COMPLETED))
    assert stale(reader) == ["batch_1"]


def test_a_cost_that_is_unknown_is_not_looked_up_again_and_wakes_no_reader(
    writer: Writer, reader: Reader
) -> None:
    one(writer, reader, Status.COMPLETED, **TOKENS)
    revision = reader.revision()
    settle(writer, reader, None)
    assert reader.changed_since(revision) == []
    settle(writer, reader, None)
    assert stale(reader) == []


def test_sums_are_over_batches_at_providers(
    writer: Writer, reader: Reader, clock: HandClock, path: Path
) -> None:
    put(writer, *(remote(f"batch_{number}", Status.COMPLETED, model="m", **TOKENS) for number in range(3)))
    put(writer, remote("batch_3", Status.FAILED))
    first, second, _third = reader.stale_costs(0, 9)
    writer.set_costs([(first, Cost(7)), (second, Cost(5, upper_bound=True))])
    raw(path, "UPDATE job SET removed_at = 1 WHERE id = ?", (second.id,))
    raw(
        path,
        "INSERT INTO job (public_id, provider, account, origin, name, raw_status, created_at, remote_status)"
        " VALUES ('zzz', 'local', 'local', '', 'script', '', 0, 'completed'),"
        " ('yyy', 'openai', 'openai', '', 'never sent', '', 0, 'failed')",
    )
    whole = reader.cost_total(Scope(removed=True))
    assert (whole.jobs, whole.micros, whole.upper_bound, whole.unknown) == (4, 12, True, 2)
    assert (whole.input_tokens, whole.output_tokens, whole.cached_tokens) == (30, 60, 15)
    shown = reader.cost_total(Scope())
    assert (shown.jobs, shown.text) == (3, "$0.000007")
    assert reader.cost_total(Scope(Tab.COMPLETED)).jobs == 2
    assert reader.cost_total(Scope(conditions=parse("cost>0"))).jobs == 1
    assert reader.cost_total_of([first.id, second.id, 999]).micros == 12
    lines = list(reader.cost_lines(Scope(removed=True), batch=1))
    assert [line.cost for line, _ in lines] == [7, 5, None, None]


def test_jobs_are_sorted_by_cost_with_the_unknown_behind(writer: Writer, reader: Reader) -> None:
    put(writer, *(remote(f"batch_{number}", Status.COMPLETED, **TOKENS) for number in range(3)))
    first, second, third = reader.stale_costs(0, 9)
    writer.set_costs([(first, Cost(0)), (second, None), (third, Cost(9))])
    rows = reader.page(Scope(), Sort("cost"), None, 9)
    assert [row.cost for row in rows] == [9, 0, None]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as it was before there were costs."""
    scripts = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("0009_*", "00[1-9]*", "__pycache__"))
    path = tmp_path / "old.db"
    build_store(path, "")
    upgrade(path, scripts)
    return path


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ('{"input_tokens":7,"output_tokens":8,"input_tokens_details":{"cached_tokens":3}}', (7, 8, 3)),
        ('{"input_tokens":7,"output_tokens":8}', (7, 8, None)),
        ('{"input_tokens":7,"output_tokens":"many"}', (7, None, None)),
        ('{"input_tokens":0,"output_tokens":0}', (None, None, None)),
        ('{"input_tokens":-7}', (None, None, None)),
        ('{"tokens":3}', (None, None, None)),
        ("[1]", (None, None, None)),
        ("no JSON", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_the_usage_of_an_older_store_is_read_once(
    old: Path, usage: str | None, tokens: tuple[int | None, ...]
) -> None:
    raw(
        old,
        "INSERT INTO job (public_id, provider, account, origin, remote_id, name, raw_status, created_at,"
        " remote_status, updated_at, usage) VALUES ('k3f9', 'openai', 'a', '', 'batch_1', 'n', '', ?,"
        " 'completed', 5, ?)",
        (START - HOUR, usage),
    )
    upgrade(old)
    columns = "input_tokens, output_tokens, cached_tokens, cost, cost_stale, updated_at"
    (found,) = raw(old, f"SELECT {columns} FROM job")
    assert found == (*tokens, None, 1 if tokens[0] else None, 5)


def test_tokens_of_lines_that_an_older_store_has_stay_and_are_priced(old: Path) -> None:
    raw(
        old,
        "INSERT INTO job (public_id, provider, account, origin, remote_id, name, raw_status, created_at,"
        " remote_status, input_tokens, output_tokens) VALUES ('k3f9', 'gemini', 'a', '', 'batches/1', 'n',"
        " '', 1, 'completed', 4, 5)",
    )
    upgrade(old)
    assert raw(old, "SELECT input_tokens, output_tokens, tokens, cost_stale FROM job") == [(4, 5, 9, 1)]
