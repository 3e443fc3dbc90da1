"""Widths, heights, ASCII, no colour: the lines fit, and what differs differs without colour as well."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from shared.local_kit import ELSEWHERE, begin
from shared.slices import rest_slow
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.filter import LineFilter
from tui_kit import MINUTE, Dash, account, change, dashboard, job, jobs, make_store, now_ms

from jobdash.config.settings import UiSettings
from jobdash.domain.fields import COLUMNS
from jobdash.domain.job import AccountHealth
from jobdash.domain.status import Tab
from jobdash.domain.text import short_count
from jobdash.operations.job_lookup import Counts, Sort
from jobdash.tui.context import UnderWay
from jobdash.tui.render import header_footer, job_cells
from jobdash.tui.render.columns import column_layout
from jobdash.tui.render.styles import _TONES
from jobdash.tui.render.symbols import ASCII, UNICODE, choose
from jobdash.tui.terminal.app import to_ascii

OPENAI = account("openai")
ALL_STATES = (
    "pending", "validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired",
    "cancelled", "unknown",
)  # fmt: skip


def counts(number: int) -> Counts:
    return Counts(dict.fromkeys(Tab, number) | {Tab.ALL: 7 * number}, {}, 1)


@pytest.mark.parametrize("number", [0, 1, 40, 999, 12_345, 142_857, 1_000_000])
@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("unseen", [frozenset(), frozenset(Tab)])
def test_all_eight_tabs_fit(number: int, width: int, unseen: frozenset[Tab]) -> None:
    spans = header_footer.tab_spans(counts(number), Tab.ALL, unseen, width, UNICODE)
    text = "".join(span.text for span in spans)
    assert cell_len(text) <= width
    assert {span.action for span in spans if span.action} == {f"tab({n})" for n in range(8)}


def test_keys_that_do_nothing_now_leave_the_footer_first() -> None:
    hints = [
        header_footer.KeyHint("c", "Cancel", "cancel", enabled=False),
        header_footer.KeyHint("f", "Fail", "fail", enabled=False),
        header_footer.KeyHint("r", "Retry", "retry"),
        header_footer.KeyHint("x", "Remove", "remove"),
        header_footer.KeyHint("q", "Quit", "quit", always=True),
    ]

    def keys(width: int) -> str:
        return "".join(span.text for span in header_footer.key_spans(hints, width)).strip()

    assert keys(80) == "c Cancel  f Fail  r Retry  x Remove  q Quit"
    assert keys(46) == "c Cancel  f Fail  r Retry  x Remove  q Quit"
    assert keys(42) == "c Cancel  r Retry  x Remove  q Quit"
    assert keys(34) == "r Retry  x Remove  q Quit"
    assert keys(20) == "r Retry  q Quit"
    assert keys(1) == "q Quit"


def test_tabs_get_shorter_step_by_step() -> None:
    def tabs(width: int, number: int = 4) -> str:
        spans = header_footer.tab_spans(counts(number), Tab.RUNNING, (), width, UNICODE)
        return "".join(span.text for span in spans).strip()

    assert tabs(140).startswith("0 All 28    1 ● Running 4    2 ○ Pending 4")
    assert tabs(120).startswith("0 All 28  1 ● Running 4  2 ○ Pending 4")
    assert tabs(119).startswith("0 All 28   1 Running 4   2 Pending 4")
    assert tabs(106).startswith("0 All 28  1 Running 4  2 Pending 4")
    assert tabs(72) == "All 28  Run 4  Pend 4  Canc'g 4  Done 4  Fail 4  Canc'd 4  Exp 4"
    assert tabs(90, 123_456).startswith("All 864k  Run 123k  Pend 123k")


@pytest.mark.parametrize(
    ("number", "short"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (12_345, "12k"), (999_999, "999k"), (1_234_567, "1.2M")],
)
def test_short_counts(number: int, short: str) -> None:
    assert short_count(number) == short


@pytest.mark.parametrize("width", range(20, 260, 7))
def test_columns_fit_any_width_and_keep_what_matters(width: int) -> None:
    layout = column_layout(width, 9)
    columns = [place.column for place in layout.places]
    assert {"name", "status", "total"} <= set(columns)
    for before, after in zip(layout.places, layout.places[1:], strict=False):
        assert before.start + before.width < after.start
    if width >= 38:
        assert layout.places[-1].start + layout.places[-1].width <= width
    if width >= 120:
        assert {"account", "progress", "failed", "created_at", "left"} <= set(columns)


def test_headers_stand_over_their_columns() -> None:
    layout = column_layout(120, 8)
    text = "".join(span.text for span in header_footer.header_spans(layout, Sort(), UNICODE))
    for place in layout.places:
        head = COLUMNS[place.column].heading
        if head and place.column != "created_at":
            at = text.index(head)
            assert place.start <= at <= place.start + place.width


@pytest.mark.parametrize("room", [0, 5, 12, 30, 50, 80, 120])
def test_the_account_line_is_cut_reason_first(room: int) -> None:
    health = {
        name: AccountHealth(
            name, "openai", 1, now_ms() - 10**8, "no connection within 10 s: x" * 9, "U", 0, None, 0, True
        )
        for name in ("one", "two", "three")
    }
    spans = header_footer.account_spans(list(health), health, UnderWay(), now_ms(), UNICODE, room)
    assert sum(span.cells for span in spans) <= room


async def screens(dash: Dash) -> list[str]:
    """Every screen and dialog there is, as text."""
    seen = [dash.screen]
    for keys in (("question_mark",), ("l",), ("enter",), ("c",), ("X",), ("f",), ("slash", "x"), ("ctrl+p",)):
        await dash.press(*keys)
        await dash.settle()
        if keys in {("c",), ("X",), ("f",)}:
            await dash.until(lambda: dash.app.screen.is_modal or dash.toasts)
        seen.append(dash.screen)
        for _ in range(3):
            if dash.app.screen is not dash.app.main or keys[0] == "slash":
                await dash.press("escape")
    dash.app.action_doctor()
    await dash.settle()
    seen.append(dash.screen)
    return seen


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 10)])
@pytest.mark.slow
async def test_ascii_everywhere(path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    rows = [*jobs(*ALL_STATES), job(50, name="商品説明 naïve 🎉", remote_status="in_progress")]
    async with dashboard(
        path, [OPENAI], rows=rows, working=False, size=size, ui=UiSettings(ascii=True)
    ) as dash:
        dash.app.notify("a toast: ✔ naïve")
        for text in await screens(dash):
            assert text.isascii(), {char for char in text if not char.isascii()}
        assert "????????" in to_ascii("商品説明")


async def test_symbols_go_and_letters_stay_where_the_locale_has_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    rows = [*jobs(*ALL_STATES), job(50, name="商品説明 naïve 🎉", remote_status="in_progress")]
    async with dashboard(path, [OPENAI], rows=rows, working=False, ui=UiSettings(ascii=True)) as dash:
        written = "".join(await screens(dash))
        assert "商品説明 naïve ??" in written
        assert {char for char in written if not char.isascii()} == set("商品説明ï")


def test_ascii_keeps_the_width() -> None:
    for text in ("─│╭╮", "商品", "naïve", "e\u0301", "🎉", "✔ ok", "a", ""):
        assert to_ascii(text).isascii()
        assert cell_len(to_ascii(text)) == cell_len(text)


@pytest.mark.parametrize(
    ("env", "ascii_only"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, False),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({}, False),
    ],
)
def test_ascii_by_locale(env: dict[str, str], ascii_only: bool) -> None:
    assert choose(None, env).ascii is ascii_only
    assert choose(True, {}) is ASCII
    assert not choose(False, {"LANG": "C"}).ascii


async def test_without_colours_a_bar_is_still_readable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        line = next(line for line in dash.screen.splitlines() if "job-001" in line)
        assert "━━" in line
        assert "──" in line
        filters: list[LineFilter] = list(dash.app.get_line_filters())
        assert [type(one).__name__ for one in filters if "ono" in type(one).__name__]
        await dash.press("X")
        await dash.until_dialog()
        assert "[x]" in dash.screen
        assert "[ ]" in dash.screen


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        *((size, "jobdash-dark") for size in ((250, 70), (200, 60), (120, 36), (40, 10), (20, 5), (10, 2))),
        *(((80, 24), theme) for theme in ("jobdash-dark", "jobdash-light", "textual-light", "ansi-dark")),
    ],
)
@pytest.mark.slow
async def test_every_screen_at_every_size_and_theme(path: Path, size: tuple[int, int], theme: str) -> None:
    ui = UiSettings(theme=theme, ascii=False)
    async with dashboard(path, [OPENAI], rows=jobs(*ALL_STATES), working=False, size=size, ui=ui) as dash:
        assert dash.app.theme == theme
        for text in await screens(dash):
            assert all(cell_len(line) <= size[0] for line in text.splitlines())


@pytest.mark.parametrize(
    ("theme", "other"), [("jobdash-dark", "jobdash-light"), ("jobdash-light", "dracula")]
)
async def test_a_start_parses_the_style_sheet_once_in_its_theme_and_again_for_another(
    path: Path, monkeypatch: pytest.MonkeyPatch, theme: str, other: str
) -> None:
    again: list[Stylesheet] = []
    reparse = Stylesheet.reparse

    def counted(sheet: Stylesheet) -> None:
        again.append(sheet)
        reparse(sheet)

    monkeypatch.setattr(Stylesheet, "reparse", counted)
    ui = UiSettings(theme=theme, ascii=False)
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False, ui=ui) as dash:
        assert not again
        for name in (theme, other):
            dash.app.theme = name
            await dash.pilot.pause()
            assert dash.app.main.styles.background == Color.parse(dash.app.get_css_variables()["background"])
        assert len(again) == 1


@pytest.mark.parametrize("theme", ["ansi-light", "ansi-dark"])
async def test_in_the_terminals_own_colours_no_text_has_the_colour_of_its_ground(
    path: Path, theme: str
) -> None:
    ui = UiSettings(theme=theme, ascii=False)
    async with dashboard(path, [OPENAI], rows=jobs(*ALL_STATES), working=False, ui=ui) as dash:
        table = dash.table
        for over in ("line", "cursor", "bar"):
            for name in _TONES:
                style = table.tone(name, over)
                assert style.color is not None, (name, over)
                assert style.bgcolor is not None, (name, over)
                kinds = {style.color.type, style.bgcolor.type}
                assert ColorType.TRUECOLOR not in kinds, (name, over)
                if style.color.type is ColorType.DEFAULT:
                    assert style.bgcolor.type is ColorType.DEFAULT, (name, over)
                else:
                    assert style.color != style.bgcolor, (name, over)
        await dash.press("n")
        await dash.until_dialog()
        assert dash.app.screen.styles.background.a == 0, "what lies below the form is seen"


async def test_resizing_keeps_cursor_and_marks(path: Path) -> None:
    rows = [job(number) for number in range(1, 101)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=(120, 36)) as dash:
        await dash.press("pagedown", "space")
        name, marked = dash.current, dash.marked
        for size in ((80, 24), (40, 10), (200, 60), (10, 2), (120, 36)):
            await dash.pilot.resize_terminal(*size)
            await dash.settle()
            assert dash.current == name
            assert dash.marked == marked
        assert name in dash.names


@pytest.mark.parametrize("width", rest_slow([60, 80, 100, 120, 200], [60, 120]))
async def test_help_quit_and_open_keep_their_place_in_the_footer(path: Path, width: int) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False, size=(width, 24)) as dash:
        keys = dash.line("keys")
        assert cell_len(keys) <= width
        for hint in ("c Cancel", "enter Open", "? Help", "q Quit"):
            assert hint in keys
        await dash.press("enter")
        await dash.until(lambda: "esc Close" in dash.line("keys"))


@pytest.mark.parametrize(
    ("done", "total", "width", "text"),
    [
        (6_214, 10_000, 13, "6,214/10,000"),
        (18_720, 100_000, 13, "18,720/100k"),
        (18_720, 100_000, 17, "18,720/100,000"),
        (1_000_000, 1_000_000, 13, "1.0M/1.0M"),
        (1_000_000, 1_000_000, 19, "1,000,000/1,000,000"),
    ],
)
async def test_no_digit_of_the_counts_is_cut(
    path: Path, done: int, total: int, width: int, text: str
) -> None:
    rows = [job(1, succeeded=done, total=total, failed=0)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=(200, 24)) as dash:
        row = dash.table.current
        assert row is not None
        assert job_cells.counts(row, "-", width) == text
        assert f"{done:,}/{total:,}" in dash.screen


async def test_the_bar_of_what_is_not_counted_is_the_part_of_its_window_that_has_gone(path: Path) -> None:
    day = 24 * 3600 * 1000
    rows = [
        job(
            1, succeeded=None, failed=None, created_at=now_ms() - day // 4, expires_at=now_ms() + 3 * day // 4
        )
    ]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=(200, 24)) as dash:
        row = dash.table.current
        assert row is not None
        parts = job_cells.bar(row, 20, UNICODE, now_ms())
        assert parts == [(UNICODE.dashes_gone * 5, "muted"), (UNICODE.dashes * 15, "track")]
        young = job_cells.bar(replace(row, created_at=now_ms() - MINUTE), 20, UNICODE, now_ms())
        assert young == [(UNICODE.dashes_gone, "muted"), (UNICODE.dashes * 19, "track")]
        # In the table's row as well, and told without colours.
        assert re.search("┅{3,}┄{9,}.* —/100", dash.screen)
        await dash.press("enter")
        await dash.until(lambda: "6h of 24h gone" in dash.screen)


async def test_a_percent_in_place_of_counts_is_the_bar(path: Path) -> None:
    rows = [job(1, succeeded=None, failed=None, expires_at=now_ms() + 3_600_000)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=(200, 24)) as dash:
        change(path, "UPDATE job SET percent = 40")
        await dash.until(lambda: "40%" in dash.screen)
        row = dash.table.current
        assert row is not None
        pieces = job_cells.bar(row, 20, UNICODE, now_ms())
        assert pieces == [(UNICODE.bar * 8, "success"), (UNICODE.track * 12, "track")]
        assert "┅" not in dash.screen
        await dash.press("enter")
        await dash.until(lambda: "percent done 40" in dash.screen)


@pytest.mark.parametrize(("env", "ascii_only"), [({"LC_ALL": "C"}, True), ({"LC_ALL": "POSIX"}, True),
                                                 ({"LC_ALL": "C.UTF-8"}, False), ({}, False)])  # fmt: skip
def test_the_c_locale_has_ascii_only(env: dict[str, str], ascii_only: bool) -> None:
    assert choose(None, env).ascii is ascii_only


def test_a_mark_on_a_tab_leaves_the_glyphs_where_they_fit() -> None:
    spans = header_footer.tab_spans(counts(3), Tab.ALL, frozenset({Tab.COMPLETED}), 130, UNICODE)
    assert "● Running 3" in "".join(span.text for span in spans)


@pytest.mark.parametrize(("ascii_only", "dot", "more"), [(False, "·", "…"), (True, "|", "..")])
async def test_sentences_of_the_detail_line_have_a_dot_between_them_and_an_ellipsis(
    path: Path, ascii_only: bool, dot: str, more: str
) -> None:
    run = begin(make_store(path), total=4, lease_ms=-MINUTE, owner=ELSEWHERE)
    run.did("error")
    ui = UiSettings(ascii=ascii_only)
    async with dashboard(path, working=False, size=(130, 24), ui=ui) as dash:
        text = f"c cancels it {dot} 1 failed: 1 × no such colour"
        await dash.until(lambda: dash.line("summary").endswith(text))
        whole = dash.line("summary")
        for width in (80, 88, 89, 90, 91, 100):
            await dash.pilot.resize_terminal(width, 24)
            await dash.until(lambda: dash.line("summary") != whole)
            line = dash.line("summary")
            assert cell_len(line) <= width
            assert line.endswith(more)
            assert whole.startswith(line.removesuffix(more))
        run.ends("failed", "the disk is full " * 20)
        await dash.press("enter")
        await dash.until(lambda: f"3 not processed {dot} the disk is full" in dash.line("job-summary"))
        assert dash.line("job-summary").endswith(more)
