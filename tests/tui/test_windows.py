"""The window of rows against a plain list: whatever is loaded, scrolled, inserted and removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tui_kit import add, add_retry, change, job, make_store

from jobdash.operations.job_lookup import SORT_ORDERS, Browser, Scope, Sort
from jobdash.tui.models.families import FamilyWindow
from jobdash.tui.models.windows import FoundRows, RowWindow

HEIGHT = 7
_SORTS = [Sort(order, descending) for order in SORT_ORDERS for descending in (True, False)]


def load(window: FamilyWindow | RowWindow, first: int, *, jump: bool) -> None:
    """Load the lines of a table that is scrolled to a line, or near to where it is; each of them is there."""
    if not window.total:
        return
    if not jump:
        first = window.start + first % (2 * HEIGHT) - HEIGHT
    first = max(0, min(first, window.total - 1))
    first = max(0, first + window.load(first, HEIGHT))
    for index in range(first, min(first + HEIGHT, window.total)):
        assert window.row(index) is not None, (first, index, window.start, window.end)


class WindowMachine(RuleBasedStateMachine):
    """A table of `HEIGHT` lines over an order, and the same as a list."""

    @initialize(number=st.integers(0, 260), sort=st.sampled_from(_SORTS))
    def open(self, number: int, sort: Sort) -> None:
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "j" / "j.db"
        make_store(self.path, [job(n, "completed", failed=n % 5, total=100 + n % 9) for n in range(number)])
        self.browser = Browser(self.path)
        self.window = RowWindow(self.browser)
        self.sort = sort
        self.next = number
        self.counted = (0, 0)
        self.window.show(Scope(), sort, number)

    def teardown(self) -> None:
        if hasattr(self, "browser"):
            self.browser.close()
            self.folder.cleanup()

    def model(self) -> list[int]:
        return [row.id for row in self.browser.page(Scope(), self.sort, None, 10_000)]

    @rule(first=st.integers(-5, 300), jump=st.booleans())
    def scroll(self, first: int, jump: bool) -> None:
        load(self.window, first, jump=jump)

    @rule(pick=st.integers(0, 10_000), above=st.integers(1, 30), below=st.integers(1, 30))
    def around(self, pick: int, above: int, below: int) -> None:
        model = self.model()
        if not model:
            return
        row = self.browser.rows([model[pick % len(model)]])[model[pick % len(model)]]
        index = self.window.load_around(row, pick % len(model), above, below)
        found = self.window.row(index)
        assert found is not None
        assert found.id == row.id

    @rule()
    def insert(self) -> None:
        add(self.path, job(self.next, "completed", failed=self.next % 5, total=100 + self.next % 9))
        self.next += 1
        self._follow()

    @rule(pick=st.integers(0, 10_000))
    def remove(self, pick: int) -> None:
        model = self.model()
        if not model:
            return
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE job SET removed_at = 1 WHERE id = ?", (model[pick % len(model)],))
        self._follow()

    @rule(pick=st.integers(0, 10_000))
    def count(self, pick: int) -> None:
        """Have the place of a loaded row counted; it is reported later, when it may stand elsewhere."""
        if self.window.rows:
            row = self.window.rows[pick % len(self.window.rows)]
            self.counted = (row.id, self.model().index(row.id))

    @rule()
    def report(self) -> None:
        job_id, exact = self.counted
        if (index := self.window.find(job_id)) is not None:
            self.window.rebase(index, exact)

    def _follow(self) -> None:
        """Do what the table does when something has changed."""
        self.window.total = len(self.model())
        if self.window.rows:
            anchor = self.window.rows[len(self.window.rows) // 2]
            place = self.window.start + len(self.window.rows) // 2
            self.window.load_around(anchor, place, 20, 20)

    @invariant()
    def contiguous(self) -> None:
        if not hasattr(self, "window") or not self.window.rows:
            return
        model, ids = self.model(), [row.id for row in self.window.rows]
        at = model.index(ids[0])
        assert ids == model[at : at + len(ids)]

    @precondition(lambda self: hasattr(self, "window") and self.window.rows)
    @invariant()
    def exact_at_both_ends(self) -> None:
        model, window = self.model(), self.window
        if window.rows[0].id == model[0] and len(window.rows) == len(model):
            assert window.start == 0
        assert window.start >= 0
        assert window.end <= window.total


TestWindow = WindowMachine.TestCase
TestWindow.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)


@pytest.mark.slow
class TestManyWindows(WindowMachine.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


class FamilyMachine(RuleBasedStateMachine):
    """A table of families, some of them open, and the same as a list of lines."""

    @initialize(
        number=st.integers(1, 200),
        families=st.dictionaries(st.integers(1, 200), st.integers(1, 60), max_size=4),
        sort=st.sampled_from([sort for sort in _SORTS if SORT_ORDERS[sort.order].settled]),
    )
    def begin(self, number: int, families: dict[int, int], sort: Sort) -> None:
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "j" / "j.db"
        make_store(self.path, [job(n, "completed") for n in range(number)])
        self.next = number
        for parent, size in families.items():
            for _ in range(size if parent <= number else 0):
                self._retry(parent)
        self.browser = Browser(self.path)
        self.window = FamilyWindow(self.browser)
        self.scope, self.sort = Scope(folded=True), sort
        self.opened: set[int] = set()
        self.window.show(self.scope, sort, self.browser.count(self.scope))

    def teardown(self) -> None:
        if hasattr(self, "browser"):
            self.browser.close()
            self.folder.cleanup()

    def model(self) -> list[int]:
        """The ids of all lines."""
        heads = self.browser.page(self.scope, self.sort, None, 10_000)
        families = self.browser.families(list(self.opened))
        lines: list[int] = []
        for row in heads:
            below = families[row.family_id].members[1:] if row.family_id in self.opened else ()
            lines += [row.id, *(member.id for member in below)]
        return lines

    @rule(first=st.integers(-5, 400), jump=st.booleans())
    def scroll(self, first: int, jump: bool) -> None:
        load(self.window, first, jump=jump)

    @rule(pick=st.integers(0, 10_000))
    def open_one(self, pick: int) -> None:
        heads = [row for row in self.window.rows if row.family_id and not row.folded]
        if heads and (row := heads[pick % len(heads)]) and self.window.open(row):
            assert row.family_id is not None
            self.opened.add(row.family_id)

    @rule(pick=st.integers(0, 10_000))
    def close_one(self, pick: int) -> None:
        inside = [row for row in self.window.rows if self.window.is_open(row)]
        if inside:
            row = inside[pick % len(inside)]
            index = self.window.close(row)
            assert index is not None
            assert (found := self.window.row(index)) is not None
            assert (found.family_id, found.folded) == (row.family_id, False)
            assert row.family_id is not None
            self.opened.discard(row.family_id)

    @rule(pick=st.integers(0, 10_000))
    def around(self, pick: int) -> None:
        if model := self.model():
            place = pick % len(model)
            row = self.browser.rows([model[place]])[model[place]]
            found = self.window.row(self.window.load_around(row, place, 20, 20))
            assert found is not None
            assert found.id == row.id

    @rule(pick=st.integers(0, 10_000), retry=st.booleans())
    def insert(self, pick: int, retry: bool) -> None:
        if retry:
            self._retry(1 + pick % (self.next - 1) if self.next > 1 else 1)
        else:
            add(self.path, job(self.next, "completed"))
            self.next += 1
        self._follow()

    @rule(pick=st.integers(0, 10_000))
    def remove(self, pick: int) -> None:
        if model := self.model():
            self._set_removed(model[pick % len(model)], 1)

    @rule(job_id=st.integers(1, 260))
    def restore(self, job_id: int) -> None:
        self._set_removed(job_id, None)

    def _retry(self, parent: int) -> None:
        add_retry(self.path, parent, job(self.next, "completed"))
        self.next += 1

    def _set_removed(self, job_id: int, at: int | None) -> None:
        change(self.path, "UPDATE job SET removed_at = ? WHERE id = ?", at, job_id)
        self._follow()

    def _follow(self) -> None:
        """Do what the table does when something has changed."""
        self.window.resize(self.browser.count(self.scope))
        if self.window.rows:
            place = len(self.window.rows) // 2
            self.window.load_around(self.window.rows[place], self.window.start + place, 20, 20)
            assert self.window.total == len(self.model())

    @invariant()
    def contiguous(self) -> None:
        if not hasattr(self, "window") or not self.window.rows:
            return
        model, ids = self.model(), [row.id for row in self.window.rows]
        at = model.index(ids[0])
        assert ids == model[at : at + len(ids)]
        assert 0 <= self.window.start <= self.window.end <= self.window.total
        if len(ids) == len(model):
            assert self.window.start == 0


TestFamilies = FamilyMachine.TestCase
TestFamilies.settings = settings(max_examples=5, stateful_step_count=20, deadline=None)


@pytest.mark.slow
class TestManyFamilies(FamilyMachine.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = make_store(tmp_path_factory.mktemp("w") / "d" / "j.db", [job(n) for n in range(100)])
    browser = Browser(path)
    yield browser
    browser.close()


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.integers(1, 100), unique=True, min_size=1),
    looks=st.lists(st.integers(0, 100), max_size=8),
)
def test_found_ids_stand_in_their_own_order(hundred: Browser, ids: list[int], looks: list[int]) -> None:
    window = RowWindow(hundred)
    window.show(Scope(), Sort(), len(ids), FoundRows(tuple(ids)))
    for first in looks:
        top = min(first, len(ids) - 1)
        assert window.load(top, HEIGHT) == 0
        shown = [window.row(index) for index in range(top, min(top + HEIGHT, len(ids)))]
        assert [row.id if row else None for row in shown] == ids[top : top + HEIGHT]
