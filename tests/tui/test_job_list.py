"""The list of jobs without its widgets: tab, filter, order, marks and unseen ends over a real store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tui_kit import change, jobs, make_config, make_store

from jobdash.domain.filter.language import parse
from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.operations.job_lookup import Scope, Sort, open_browser
from jobdash.tui.context import DashboardContext
from jobdash.tui.models.families import FamilyWindow
from jobdash.tui.models.job_list import JobList
from jobdash.tui.models.windows import FoundRows

STATUSES = ("in_progress", "failed", "completed", "pending", "failed")


@dataclass
class Display:
    """A display of ten lines that no terminal is needed for."""

    window: FamilyWindow
    marks: set[int] = field(default_factory=set)
    cursor: int = 0
    touched: bool = False
    moved_at: int = 0
    moved: int = 0

    @property
    def current(self) -> JobRow | None:
        return self.window.row(self.cursor)

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.window.rows]

    def show(self, scope: Scope, sort: Sort, total: int, found: FoundRows | None = None) -> None:
        self.window.show(scope, sort, total, found)
        self.window.load(0, 10)

    def reload(self, total: int, found: FoundRows | None = None) -> None:
        self.show(self.window.scope, self.window.sort, total, found)

    def counted(self, job_id: int, exact: int) -> None:
        raise AssertionError("nothing is estimated here")


@dataclass
class Listed:
    path: Path
    display: Display
    model: JobList
    waiting: list[tuple[Any, ...]]

    def settle(self) -> None:
        """Run what a thread has handed over."""
        deadline = time.monotonic() + 5
        while not self.waiting:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        function, *arguments = self.waiting.pop(0)
        function(*arguments)


@pytest.fixture
def listed(path: Path) -> Iterator[Listed]:
    make_store(path, jobs(*STATUSES))
    opened = open_browser(path)
    context = DashboardContext.of(make_config(path), opened.browser, opened.read_only)
    display, waiting = Display(FamilyWindow(opened.browser)), []  # type: ignore[var-annotated]
    model = JobList(context, display, lambda *call: waiting.append(call), lambda: None)
    model.show()
    yield Listed(path, display, model, waiting)
    model.stop()
    opened.browser.close()


def test_tabs_and_orders(listed: Listed) -> None:
    model, display = listed.model, listed.display
    assert display.names == ["job-005", "job-004", "job-003", "job-002", "job-001"]
    model.reverse()
    assert display.names[0] == "job-001"
    model.turn(Tab.FAILED)
    assert display.names == ["job-002", "job-005"]
    model.sort_by("name")
    model.sort_by("name")
    assert display.names == ["job-005", "job-002"]


def test_a_filter_is_answered_later_and_followed(listed: Listed) -> None:
    model, display = listed.model, listed.display
    ready: list[bool] = []
    model.filter(parse("status:failed"))
    model.when_found(lambda: ready.append(True))
    assert not ready
    listed.settle()
    assert ready
    assert display.names == ["job-005", "job-002"]
    change(listed.path, "UPDATE job SET remote_status = 'completed' WHERE name = 'job-002'")
    assert model.poll(0)
    assert display.names == ["job-005"]


def test_marks_stay_through_tabs_and_are_the_selection(listed: Listed) -> None:
    model = listed.model
    model.turn(Tab.FAILED)
    assert model.marks.add_all(model.scope)
    model.turn(Tab.COMPLETED)
    selection = model.selection()
    assert {row.name for row in selection.rows} == {"job-002", "job-005"}
    assert len(selection.hidden) == 2
    model.marks.clear()
    assert [row.name for row in model.selection().rows] == ["job-003"]


def test_paused_it_counts_changes_and_shows_them_afterwards(listed: Listed) -> None:
    model = listed.model
    model.pause()
    change(listed.path, "UPDATE job SET remote_status = 'completed' WHERE name = 'job-001'")
    assert model.poll(0)
    assert model.held_changes
    assert model.counts.by_tab[Tab.COMPLETED] == 1
    model.pause()
    assert model.counts.by_tab[Tab.COMPLETED] == 2
    assert not model.held_changes


def test_the_mark_of_a_tab_goes_when_it_is_shown(listed: Listed) -> None:
    model = listed.model
    row = next(row for row in listed.display.window.rows if row.name == "job-002")
    model.mark_tab(row)
    assert model.unseen == {Tab.FAILED: {row.id}}
    model.turn(Tab.FAILED)
    assert not model.unseen
    model.mark_tab(row)
    assert not model.unseen


def test_failed_jobs_are_those_of_tab_and_filter(listed: Listed) -> None:
    assert {row.name for row in listed.model.failed_jobs()} == {"job-002", "job-005"}
    listed.model.turn(Tab.PENDING)
    assert listed.model.failed_jobs() == []


def test_the_model_needs_no_textual() -> None:
    import subprocess
    import sys

    program = "import sys, jobdash.tui.models.job_list; assert 'textual' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
