"""The registry of job fields is true: each field is in every face that its line names, under its own name."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobdash.cli.main import run
from jobdash.domain.fields import COLUMN_SETTINGS, COLUMNS, JOB_FIELDS, Face, Match, fields_of
from jobdash.domain.filter.language import parse
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.operations.export import export_csv
from jobdash.operations.job_lookup import SORT_ORDERS, Browser, Scope, Sort
from jobdash.store.sample_loader import SAMPLE_COLUMNS, build_sample_store
from jobdash.store.schema.base import table
from jobdash.store.schema.tables import JobRecord
from jobdash.tui.render import job_cells
from jobdash.tui.render.columns import column_layout
from jobdash.tui.render.job_details import BatchView
from jobdash.tui.render.script_job_details import ScriptView
from jobdash.tui.render.symbols import UNICODE

NOW = 1_800_000_000_000
HEADINGS = {
    "raw_status": "Provider's word",
    "progress": "Progress",
    "expires_at": "Deadline",
    "child_ids": "Retried by",
}
"""Of ``jobdash show``, where they are not the labels."""
_FILES = """'{"input": 1, "team": 2, "gone": null}'"""
TOPICS = {"files": "input file", "tags": "tag team"}
SCRIPT_TOPICS = TOPICS | {"progress": "items", "origin": "machine", "metadata": "team"}
VALUES = {
    Match.TIME: ">2020-01-01",
    Match.AGE: ">1s",
    Match.STATUS: ":unfinished,finished",
    Match.OUTCOME: ":ok,partial",
    Match.REMOVED: ":no",
    Match.QUEUED: ":no",
    Match.ATTENTION: ":any",
    Match.KNOWN: ":yes",
    Match.TAG: ":team",
    Match.NUMBER: ">0",
    Match.MONEY: ">0",
    Match.ID: ":1",
    Match.TEXT: ":1",
    Match.EQUAL: "=local,openai,11,14",
}


def _set(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs of every kind and status in which no column is empty."""
    path = tmp_path_factory.mktemp("fields") / "jobs.db"
    known: dict[str, Any] = {
        "origin": "o",
        "raw_status": "r",
        "created_at": NOW - 9_000,
        "updated_at": NOW,
        "name": "n1",
    }
    states = [(p, s) for p in ("openai", "local") for s in ("in_progress", "completed", "failed")]
    rows = [known | {"provider": p, "account": p, "remote_status": s} for p, s in states]
    build_sample_store(path, [tuple(row.get(column) for column in SAMPLE_COLUMNS) for row in rows])
    filled: dict[str, Any] = {
        column.name: 1 if column.type.python_type is int else "'1' || id"
        for column in table(JobRecord).columns
        if column.nullable and column.computed is None and not column.primary_key
    }
    filled |= {"finished_at": NOW, "started_at": NOW - 9_000, "expires_at": NOW, "lease_until": NOW + 9}
    fate: dict[str, Any] = {
        "verdict": "'force_failed'",
        "gone_at": 1,
        "removed_at": 1,
        "cancel_requested_at": 1,
    }
    filled |= dict.fromkeys((*fate, "removing"), "NULL") | {"total": 9}
    filled |= dict.fromkeys(("files", "usage", "remote_metadata"), _FILES)
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute(f"UPDATE job SET {_set(filled)}")
        store.execute(f"UPDATE job SET {_set(fate)} WHERE id IN (3, 6)")
        # A submit without an answer, and the batch that it may be.
        store.execute("UPDATE job SET remote_id = NULL, raw_status = 'unconfirmed' WHERE id = 1")
        store.execute("UPDATE job SET submit_key = NULL WHERE id = 2")
        store.execute(
            "INSERT INTO intent (kind, account, job_id, owner, actor, opened_at, deadline)"
            " SELECT 'submit', account, id, '', '', created_at, created_at FROM job WHERE id = 1"
        )
        store.execute("UPDATE job SET function = CASE WHEN id = 4 THEN '1:f' END")
        store.execute("INSERT INTO part (job_id, number, first, behind) VALUES (4, 0, 0, 1)")
        store.execute(
            "INSERT INTO attempt (job_id, fence, number, owner, actor, keyed, started_at)"
            " SELECT id, 1, 1, '', 'ann@desk', 1, created_at FROM job WHERE provider = 'local'"
        )
        store.execute("INSERT INTO job_tag SELECT id, 'team', 'search' FROM job")
    return path


@pytest.fixture
def browser(path: Path) -> Iterator[Browser]:
    with Browser(path, lambda: NOW) as opened:
        yield opened


def every_job(browser: Browser) -> list[JobDetails]:
    rows = browser.page(Scope(removed=True), Sort(), None, 99)
    return list(browser.jobs([row.id for row in rows]).values())


def printed(capsys: pytest.CaptureFixture[str], path: Path, *args: str) -> str:
    capsys.readouterr()
    assert run([*args, "--db", str(path)]) == 0
    return capsys.readouterr().out


def test_json_has_every_field_that_is_registered_for_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = json.loads(printed(capsys, path, "list", "--json", "--removed"))["jobs"]
    for field in fields_of(Face.JSON):
        assert any(job[field.name] not in (None, [], {}) for job in jobs), field.name


def test_csv_has_every_field_that_is_registered_for_it(
    path: Path, browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = printed(capsys, path, "list", "--csv", "--removed")
    exported, _ = export_csv(browser, Scope(removed=True), Sort(), tmp_path)
    for face, text in ((Face.CSV, listed), (Face.EXPORT, exported.read_text("utf-8"))):
        rows = list(csv.DictReader(io.StringIO(text)))
        for field in fields_of(face):
            assert any(row[field.name] for row in rows), field.name


def test_show_has_a_line_for_every_field_that_is_registered_for_it(
    path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = "\n".join(printed(capsys, path, "show", job.row.public_id) for job in every_job(browser))
    for field in fields_of(Face.SHOW):
        heading = HEADINGS.get(field.name) or field.label.capitalize()
        assert f"\n{heading}  " in f"\n{shown}", field.name


def test_the_screen_of_a_job_has_every_field_that_is_registered_for_it(path: Path, browser: Browser) -> None:
    for face, local, topics in ((Face.BATCH, False, TOPICS), (Face.SCRIPT, True, SCRIPT_TOPICS)):
        seen = set()
        for job in every_job(browser):
            if job.row.local is local:
                view = ScriptView(browser, path) if local else BatchView(browser)
                seen |= {line[0][0].strip() for line in view.detail_lines(job, 200, NOW) if line}
        for field in fields_of(face):
            assert topics.get(field.name, field.label) in seen, field.name


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_is_drawn_when_the_settings_name_it(browser: Browser, column: str) -> None:
    setting = COLUMNS[column].setting or column
    assert setting in COLUMN_SETTINGS
    layout = column_layout(250, chosen=(setting,))
    widths = {place.column: place.width for place in layout.places}
    drawn = [job_cells.line(job.row, widths, NOW, UNICODE)[column] for job in every_job(browser)]
    assert any("".join(text for text, _ in pieces).strip(" —") for pieces in drawn)


def test_a_column_that_is_no_default_is_drawn_only_when_it_is_named() -> None:
    shown = {place.column for place in column_layout(1_000).places}
    assert shown == {name for name, column in COLUMNS.items() if column.default}


def test_list_has_the_columns_that_are_registered_for_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *_ = printed(capsys, path, "list").splitlines()
    assert head.split() == [field.listed for field in JOB_FIELDS if field.listed]


@pytest.mark.parametrize(("word", "match"), [pair for field in JOB_FIELDS for pair in field.words], ids=str)
def test_a_filter_asks_the_store_and_a_row_the_same(browser: Browser, word: str, match: Match) -> None:
    conditions = parse(f"{word}{VALUES[match]}")
    jobs = every_job(browser)
    found = set(browser.search(Scope(conditions=conditions, removed=True), Sort()))
    assert found == {job.row.id for job in jobs if conditions.matches(job.row, job.tags, NOW, job.attention)}
    assert found


@pytest.mark.parametrize("order", SORT_ORDERS)
def test_an_order_sorts_by_its_field(browser: Browser, order: str) -> None:
    sort = Sort(order, descending=not SORT_ORDERS[order].ascending)
    rows = browser.page(Scope(removed=True), sort, None, 99)
    keys = [(key.value, key.id) for key in (browser.key_of(row, sort) for row in rows)]
    assert len(keys) == 6
    assert keys == sorted(keys, reverse=sort.descending)


def test_the_registry_names_what_there_is() -> None:
    row, details, remote = (
        {name for name in dir(kind) if not name.startswith("_")} for kind in (JobRow, JobDetails, RemoteJob)
    )
    assert len({field.name for field in JOB_FIELDS}) == len(JOB_FIELDS)
    computed = {"left"}
    for field in JOB_FIELDS:
        assert field.timed or field.name in computed or field.source in (details if field.heavy else row)
        assert field.merge is None or field.source in remote
        assert field.label or not field.faces & Face.DETAILS
        # What a list is read by has to be in its rows.
        assert not (field.heavy and (field.column or field.order or field.listed))
        assert not (field.heavy and field.words and field.name not in {"tags", "attention"})
