"""Text from outside is data: nothing it holds styles, scripts, crashes or fakes the screen."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tui_kit import account, change, dashboard, job, make_store

from jobdash.domain.job import Event
from jobdash.domain.plan import Action, Plan
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.planning import plan_jobs
from jobdash.tui.action_runs import ActionRun, single_toast
from jobdash.tui.render import job_cells, job_details, job_summary
from jobdash.tui.render.columns import column_layout
from jobdash.tui.render.job_details import BatchView
from jobdash.tui.render.log_lines import log_lines
from jobdash.tui.render.symbols import UNICODE
from jobdash.tui.widgets.plan_list import plan_entries

OPENAI = account("openai")
_SEEDS = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J\x1b[H",
    "\x1b[?1049l",
    "\x9b31m",
    "\x90q\x9c",
    "\x1bP+q\x1b\\",
    "\x07",
    "\x08\x08\x08",
    "\r gone",
    "\n\n\nlines",
    "\t\ttabs",
    "\v\f",
    "\x00nul\x00",
    "\x7f",
    "\x85",
    "\u202egnp.exe",
    "\u202d\u202c",
    "\u2066\u2067\u2068\u2069",
    "\u200e\u200f\u061c",
    "zero\u200bwidth\u200c\u200d",
    "\ufeffbom",
    "\u2060\u2061",
    "soft\u00adhyphen",
    "\u034f",
    "\u115f\u1160\u3164\uffa0",
    "\u2028\u2029",
    "\ufe0f\ufe0e",
    "[/]",
    "[/b]",
    "[bold]x[/bold]",
    "[red on blue]",
    "[link=https://x]y[/link]",
    "[@click=app.quit]q[/]",
    "[$error]x",
    "$x",
    "$name ${y} $$",
    "\\[x]",
    "[[[",
    "]]]",
    "[",
    "[/",
    "[bold",
    "{x}",
    "{0.__class__}",
    "%s %(a)s %",
    "`rm -rf`",
    "<script>alert(1)</script>",
    "&lt;&amp;",
    "]]>",
    "<!--",
    "'\"",
    "=1+1",
    "@SUM(A1)",
    "; DROP TABLE job; --",
    "e\u0301\u0301\u0301\u0301",
    "a" + "\u0300" * 200,
    "Z̸̛͚̓a̵͙l̶̥g̷̬o̴͙",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇯🇵",
    "🏳️‍🌈",
    "商品" * 40,
    "ﷺ" * 10,
    "\U000e0041\U000e007f",
    "\U000f0000",
    "\ue000\uf8ff",
    "\uffff\ufffe",
    "\U0010ffff",
    "x" * 4000,
    "─│╭╮█",
    "▸◆✖",
    "NUL\x00[/]\x1b[1m",
    "",
    " ",
    "   lead and trail   ",
    "\\x1b[31m",
    "\N{SNOWMAN}" * 50,
    "ＦＵＬＬ",
    "ｈａｌｆ",
]
_FRAMES = ("{}", "job {} x", "{}{}", "[b]{}", "{}[/b]", "\x1b[7m{}")
HOSTILE = [frame.replace("{}", seed) for seed in _SEEDS for frame in _FRAMES]
UNSTORABLE = ["\ud800", "x\udfffy", "\ud83d[/]\udc00"]
_CONTROL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def improper(text: str) -> set[str]:
    """The characters that must never reach a terminal."""
    return {f"U+{ord(char):04X}" for char in text if unicodedata.category(char) in _CONTROL}


def hostile_job(number: int, text: str) -> tuple[str | int | None, ...]:
    status = ("in_progress", "failed", "completed", "unknown", "cancelling")[number % 5]
    return job(
        number,
        status,
        name=text,
        account=text or "a",
        model=text,
        endpoint=text,
        raw_status=text or "x",
        error=text,
        remote_id=f"batch_{number}{text}",
        failed=3,
        errors=json.dumps([{"code": None, "message": text}, {"code": text, "message": "m", "line": 3}]),
        files=json.dumps({"input": text}),
        usage=json.dumps({"x": text}),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "d" / "j.db"
    make_store(path, [hostile_job(number, text) for number, text in enumerate(HOSTILE, start=1)])
    return path


@pytest.fixture(scope="module")
def browser(store: Path) -> Iterator[Browser]:
    opened = Browser(store)
    yield opened
    opened.close()


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 300


@pytest.mark.parametrize("text", [*HOSTILE, *UNSTORABLE], ids=range(len(HOSTILE) + len(UNSTORABLE)))
def test_the_gate_lets_only_printable_text_through(text: str) -> None:
    assert not improper(clean(text))


def test_every_line_widget_shows_only_printable_text(browser: Browser) -> None:
    rows = browser.page(Scope(), Sort(), None, 10_000)
    assert len(rows) == len(HOSTILE)
    now, layout = rows[0].created_at + 10**7, column_layout(200, 12)
    places = {place.column: place.width for place in layout.places}
    for row in rows:
        texts = [text for pieces in job_cells.line(row, places, now, UNICODE).values() for text, _ in pieces]
        errors = browser.errors_summary(row.id)
        texts += [span.text for span in job_summary.title_spans(row, 200, now, UNICODE)]
        texts += [span.text for span in job_summary.summary_spans(row, errors, 200, now, UNICODE)]
        full = browser.job(row.id)
        assert full is not None
        lines = [*job_details.error_lines(full, 100), *BatchView(browser).detail_lines(full, 100, now)]
        event = Event(
            1, now, row.name, row.name, "cancel", "x", row.name, row.account, "failed", row.name, None
        )
        lines += log_lines([event], 100, names=True)
        texts += [text for line in lines for text, _ in line]
        left, right = job_details.head_spans(row, now, UNICODE)
        texts += [span.text for span in (*left, *right)]
        for text in texts:
            assert not improper(text), (row.name, text)


def test_dialogs_and_toasts_show_only_printable_text(browser: Browser) -> None:
    from jobdash.domain.describe import plan_text
    from jobdash.domain.plan import ActionOutcome, ActionResult, Choices, DecisionContext

    rows = browser.page(Scope(), Sort(), None, 10_000)
    situation = DecisionContext(rows[0].created_at, frozenset(row.account for row in rows))
    for row in rows:
        plans = [
            plan_jobs(action, [row], situation, Choices(cancel_first=True))
            for action in (Action.CANCEL, Action.FORCE_FAIL, Action.REMOVE)
        ]
        for plan in plans:
            texts = [plan_text.title(plan), *(note.text for note in plan_text.notes(plan)), *_toast(plan)]
            texts += [entry.words for entry in plan_entries(plan, situation.now, UNICODE)]
            if not plan.acting:
                texts.append(plan_text.nothing_to_do(plan))
            else:
                run = ActionRun(plan, [ActionOutcome(row, ActionResult.FAILED, row.name)])
                texts.append(single_toast(run)[0])
            for text in texts:
                assert not improper(text), (row.name, text)


def _toast(plan: Plan) -> list[str]:
    return [clean(decision.job.name, 60) for decision in plan.acting]


async def test_the_real_screen_over_all_of_them(store: Path) -> None:
    async with dashboard(store, [OPENAI], working=False, size=(250, 60)) as dash:
        height = dash.table.size.height
        for _ in range(0, len(HOSTILE), height):
            assert not improper(dash.screen.replace("\n", ""))
            await dash.press("pagedown")
        svg = dash.app.export_screenshot()
        text = "".join(ET.fromstring(svg).itertext())
        assert not improper(text.replace("\n", ""))
        for key in ("a", "f"):
            await dash.press(key)
        await dash.until_dialog()
        assert not improper(dash.screen.replace("\n", ""))
        assert ET.fromstring(dash.app.export_screenshot()) is not None


@pytest.mark.parametrize("number", range(0, len(HOSTILE), 61))
@pytest.mark.slow
async def test_dialog_toast_job_screen_and_log_of_one(path: Path, number: int) -> None:
    text = HOSTILE[number]
    row = list(hostile_job(2, text))
    async with dashboard(path, [account(text or "a")], rows=[tuple(row)], working=False) as dash:
        change(
            path,
            "INSERT INTO event (at, actor, face, action, job_id, job_public_id, job_name, account, result,"
            " detail) VALUES (1, ?, 'tui', 'cancel', 1, 'x', ?, ?, 'failed', ?)",
            *(text, text, text, text),
        )
        seen = []
        dash.app.notify(clean(text))
        dash.app.notify(text)
        for key in ("X", "x", "f", "enter", "1", "2", "3", "escape", "l", "escape"):
            await dash.press(key)
            await dash.settle()
            seen.append(dash.screen)
            if dash.app.screen.is_modal:
                await dash.until_dialog()
                seen.append(dash.screen)
                await dash.press("escape")
        dash.app.action_doctor()
        await dash.settle()
        seen.append(dash.screen)
        for screen in seen:
            assert not improper(screen.replace("\n", "")), re.escape(text)


async def test_a_name_of_a_megabyte(path: Path) -> None:
    rows = [job(1, name="[/]" * 350_000), job(2, "failed", error="x\x1b" * 500_000, failed=1)]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        await dash.press("down", "up", "s", "c")
        await dash.until(lambda: dash.app.screen.is_modal or dash.toasts)
        assert not improper(dash.screen.replace("\n", ""))
