"""The commands of the dashboard: keys, words, and when each is possible.

From this one list come the bindings of the screens, their footers, the help, the palette, and the check of
the ``[keys]`` setting. A new key is an entry here and an ``action_…`` method on the screen it works on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from typing import NamedTuple

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.keys import format_key
from textual.widget import Widget

from jobdash.domain.backends.registry import decide, rules_of
from jobdash.domain.items import RETRYABLE
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext
from jobdash.domain.status import TERMINAL, Tab
from jobdash.tui.context import DashboardContext
from jobdash.tui.render.header_footer import KeyHint

Accepts = Callable[[JobRow, DecisionContext], bool]


class Place(Enum):
    """Where a command works: the widget or screen that has its action."""

    MAIN = auto()
    LIST = auto()
    TABLE = auto()
    JOB = auto()
    ITEM = auto()
    EVERYWHERE = auto()


class HelpGroup(Enum):
    """A heading of the help; the order here is the order there."""

    SELECTED = "On the marked jobs, else the current one"
    ALL = "On everything in tab and filter"
    VIEW = "Looking"
    MORE = "More"


class CommandState(NamedTuple):
    """What decides whether a command is offered; where it is not, it is hidden instead of dimmed."""

    row: JobRow | None = None
    accepted: bool = True
    """Whether the job accepts the command now."""
    items: bool = False
    """Whether the items of the job are on the screen."""
    fetched: bool = False
    """Whether these are the fetched results of a batch, which can be opened."""
    hidden_runs: bool = False
    """Whether a run continues without its dialog."""

    @property
    def unfinished(self) -> bool:
        """Whether the job has not ended."""
        return self.row is not None and not self.row.terminal

    @property
    def script(self) -> bool:
        """Whether the job is one of the person's own scripts."""
        return self.row is not None and not rules_of(self.row).at_provider


def _always(_state: CommandState) -> bool:
    return True


class Command(NamedTuple):
    """One command; ``id`` is what ``[keys]`` calls it, empty where its key cannot be changed."""

    id: str
    action: str
    """The Textual action; ``act('job.cancel')`` plans what `acts` is."""
    label: str
    """The word in the footer, and the title in the palette."""
    key: str = ""
    """The default keys, separated by commas; none for a command of the palette alone."""
    places: tuple[Place, ...] = (Place.MAIN,)
    help: str = ""
    """The text in the help and the tooltip; the label where it is empty."""
    group: HelpGroup | None = None
    palette: str = ""
    """The palette's text; the palette does not offer it where it is empty."""
    shown_key: str | None = None
    acts: tuple[Action, Choices] | None = None
    """The action that it plans on the selected jobs."""
    accepts: Accepts | None = None
    """Whether a job accepts it, where that does not follow from `acts`."""
    changes: bool = False
    """Whether it needs a store that can be written."""
    offered: Callable[[CommandState], bool] = _always
    """Whether the job's screen and the palette show it."""
    footer: int = 0
    """Its place in the footer of the main screen, 0 when it is not in it; the last go first without room."""
    job_footer: int = 0
    """Its place in the footer of a job's screen."""
    item_footer: int = 0
    """Its place in the footer of a fetched result's screen."""
    pinned: bool = False
    """It keeps its place in a footer of any width."""

    def binding_id(self, place: Place) -> str:
        """Return the id of its binding at a place; on a job's own screen keys can be set separately."""
        return self.id.replace("job.", "one.", 1) if place is Place.JOB else self.id

    def key_name(self, keymap: Mapping[str, str], place: Place = Place.MAIN) -> str:
        """Return its key as a person reads it, after their own keymap."""
        own = keymap.get(self.binding_id(place))
        if own is None and self.shown_key:
            return self.shown_key
        return format_key((own or self.key).split(",")[0])

    def accepted(self, row: JobRow, context: DecisionContext) -> bool:
        """Whether a job accepts it now."""
        if self.accepts is not None:
            return self.accepts(row, context)
        return self.acts is None or decide(self.acts[0], row, context, self.acts[1]).acts


def _cancel_delete(row: JobRow, context: DecisionContext) -> bool:
    # Of a job that has ended nothing is left to cancel; job.remove removes it.
    return not row.terminal and decide(Action.REMOVE, row, context, Choices(cancel_first=True)).acts


def _retry(row: JobRow, context: DecisionContext) -> bool:
    return decide(Action.RETRY, row, context, Choices(restart=True, only=RETRYABLE)).acts


def _fetch(row: JobRow, _context: DecisionContext) -> bool:
    if not rules_of(row).at_provider:
        return bool(row.done)
    return row.remote_id is not None and row.remote_status in TERMINAL


_BOTH = (Place.MAIN, Place.JOB)
_LIST = (Place.LIST,)
_TABLE = (Place.TABLE,)
_JOB = (Place.JOB,)
_ITEM = (Place.ITEM,)
_ANY = (Place.EVERYWHERE,)

# fmt: off
COMMANDS: tuple[Command, ...] = (
    Command(
        "job.cancel", "act('job.cancel')", "Cancel", "c", _BOTH, "Cancel the marked jobs, else this one",
        group=HelpGroup.SELECTED, acts=(Action.CANCEL, Choices()), changes=True,
        offered=lambda state: state.unfinished, footer=1, job_footer=1),
    Command("job.force_fail", "act('job.force_fail')", "Force-fail", "f", _BOTH, "Mark it failed here",
        group=HelpGroup.SELECTED, acts=(Action.FORCE_FAIL, Choices()), changes=True,
        offered=lambda state: state.unfinished, footer=3, job_footer=2),
    Command("job.retry", "act('job.retry')", "Retry", "r", _BOTH, "Do what is not done, or send it again",
        group=HelpGroup.SELECTED, acts=(Action.RETRY, Choices()), accepts=_retry, changes=True,
        offered=lambda state: not state.unfinished or state.accepted, footer=4, job_footer=4),
    Command("job.remove", "act('job.remove')", "Remove", "x", _BOTH, "Remove finished jobs",
        group=HelpGroup.SELECTED, acts=(Action.REMOVE, Choices()), changes=True,
        # Removing is for what has ended; pressed before, it shows why a provider's job is not removed.
        offered=lambda state: not (state.script and state.unfinished), footer=5, job_footer=6),
    Command("job.cancel_delete", "act('job.cancel_delete')", "Cancel & delete", "X", _BOTH,
        help="Cancel, then remove", group=HelpGroup.SELECTED,
        acts=(Action.REMOVE, Choices(cancel_first=True)), accepts=_cancel_delete, changes=True,
        offered=lambda state: state.unfinished, footer=9, job_footer=3),
    Command("job.fetch", "fetch", "Fetch", "d", _BOTH, "Fetch results into files",
        group=HelpGroup.SELECTED, accepts=_fetch, changes=True,
        offered=lambda state: state.script or not state.unfinished,
        footer=6, job_footer=5),
    Command("job.open", "open", "Open", "enter", (Place.MAIN,), "All about this job",
        group=HelpGroup.SELECTED, shown_key="enter", footer=16, pinned=True),
    Command("job.copy_remote", "copy('remote_id')", "Copy the provider's id", "y", group=HelpGroup.SELECTED),
    Command("job.copy_own", "copy('public_id')", "Copy our id", "Y", group=HelpGroup.SELECTED),
    Command(
        "job.cancel_all", "cancel_all", "Cancel all pending", "C", (Place.MAIN,), "Cancel all unfinished",
        group=HelpGroup.ALL, changes=True, footer=2),
    Command("view.mark_all", "mark_all", "Mark all", "a", _LIST, "Mark all in tab and filter",
        group=HelpGroup.ALL, footer=12),
    Command("view.filter", "filter", "Filter", "slash", _LIST, "Filter as you type", group=HelpGroup.VIEW,
        shown_key="/", footer=8),
    Command("view.sort", "sort", "Sort", "s", _LIST, "Sort by the next column", group=HelpGroup.VIEW,
        footer=11),
    Command("view.reverse", "reverse", "Reverse the order", "S", _LIST, group=HelpGroup.VIEW),
    Command("view.mark", "mark", "Mark", "space", _LIST, "Mark or unmark this job", group=HelpGroup.VIEW,
        footer=7),
    Command("view.clear", "clear", "Clear marks, then filter", "escape", _LIST, group=HelpGroup.VIEW),
    Command("view.cost", "toggle_cost", "Cost", "dollar_sign", _LIST, "Show or hide the column COST",
        group=HelpGroup.VIEW, shown_key="$"),
    Command("view.pause", "pause", "Pause", "p", _LIST, "Stop drawing changes, or go on",
        group=HelpGroup.VIEW, footer=13),
    Command("app.sync", "app.sync", "Sync now", "f5,ctrl+r", group=HelpGroup.VIEW, footer=14),
    Command("file.submit", "submit", "Submit", "n", (Place.MAIN,), "Submit a file as a new batch",
        group=HelpGroup.MORE, changes=True, palette="Choose a JSONL file, check it, and make a batch of it",
        footer=15),
    Command("job.undo", "undo", "Undo", "u", (Place.MAIN,), "Take back the last removal or force-fail",
        group=HelpGroup.MORE, changes=True, footer=10),
    Command("app.log", "app.log", "Log", "l", (Place.MAIN,), "Who did what, when, with which result",
        group=HelpGroup.MORE, footer=15),
    Command("app.help", "app.help", "Help", "question_mark", group=HelpGroup.MORE, shown_key="?", footer=17,
        pinned=True),
    Command("app.quit", "app.quit", "Quit", "q", group=HelpGroup.MORE, footer=18, pinned=True),
    *(Command(f"tab.{tab}", f"tab({tab.number})", tab.capitalize(), str(tab.number), _LIST) for tab in Tab),
    Command("tab.attention", "app.attention", "Attention", "8", _LIST, "What to look at, and why",
        group=HelpGroup.VIEW),
    Command("family.open", "unfold", "Open family", "right", _TABLE,
        "Show the parts and retries of a job beneath it", group=HelpGroup.VIEW),
    Command("family.close", "fold", "Close family", "left", _TABLE, "Show them as one row",
        group=HelpGroup.VIEW),
    Command("table.up", "move(-1)", "Up", "up,k", _TABLE),
    Command("table.down", "move(1)", "Down", "down,j", _TABLE),
    Command("table.page_up", "page(-1)", "Page up", "pageup", _TABLE),
    Command("table.page_down", "page(1)", "Page down", "pagedown", _TABLE),
    Command("table.home", "home", "First", "home,g", _TABLE),
    Command("table.end", "end", "Last", "end,G", _TABLE),
    # A job's own screen.
    Command("job.errors", "ask_errors", "Ask for errors", "e", _JOB,
        offered=lambda state: not state.script and not state.fetched, job_footer=7),
    Command("job.outcome", "next_outcome", "Outcome", "o", _JOB, offered=lambda state: state.items,
        job_footer=8),
    Command("job.open_item", "open_item", "Open", "enter", _JOB, "Request and answer; else back to the table",
        shown_key="enter", offered=lambda state: state.fetched, job_footer=9),
    Command("job.filter_items", "filter_items", "Text", "slash", _JOB, "Only results with a text",
        shown_key="/", offered=lambda state: state.fetched, job_footer=10),
    *(Command("", f"page({place})", "", str(place + 1), _JOB) for place in range(5)),
    Command("", "turn(1)", "Next page", "tab,right", _JOB),
    Command("", "turn(-1)", "Page before", "shift+tab,left", _JOB),
    Command("", "copy('remote_id')", "Copy the provider's id", "y", _JOB),
    Command("", "copy('public_id')", "Copy our id", "Y", _JOB),
    Command("", "app.help", "Help", "question_mark", _JOB),
    Command("job.close", "close", "Close", "escape,q", _JOB, shown_key="esc", job_footer=11, pinned=True),
    # One fetched result.
    Command("item.copy", "copy_text", "Copy", "y", _ITEM, "Copy the side in focus", item_footer=1),
    Command("item.pager", "pager", "Pager", "o", _ITEM, "Open the side in focus in $PAGER", item_footer=2),
    Command("item.side", "other_side", "Other side", "tab,shift+tab", _ITEM, item_footer=3),
    Command("item.next", "step(1)", "Next", "right,n", _ITEM, item_footer=4),
    Command("item.before", "step(-1)", "Before", "left,p", _ITEM, item_footer=5),
    Command("", "app.help", "Help", "question_mark", _ITEM),
    Command("item.close", "close", "Close", "escape,q,enter", _ITEM, shown_key="esc", item_footer=6,
        pinned=True),
    # Without a key, in the palette alone.
    Command("run.show", "show_run", "Show what is running",
        palette="Bring back the box of the action under way", offered=lambda state: state.hidden_runs),
    Command("view.export", "export", "Export as CSV",
        palette="Write the jobs of tab and filter into the current folder"),
    Command("view.errors", "ask_errors", "Refresh errors",
        palette="Ask again for the error details of the marked jobs, else of all failed ones shown"),
    Command("jobs.clean_up", "act('jobs.clean_up')", "Clean up at the provider",
        palette="Delete files and batches of finished jobs there; the records stay here",
        acts=(Action.REMOVE, Choices(record=False, remote=True))),
    Command("script.clean_up", "act('script.clean_up')", "Clean up files here", "", _JOB,
        palette="Delete its fetched files and logs on this computer; the record stays",
        acts=(Action.REMOVE, Choices(record=False, local_files=True)), offered=lambda state: state.script),
    Command("batch.errors", "ask_errors", "Refresh errors", "", _JOB,
        palette="Ask again for this job's error details", offered=lambda state: not state.script),
    Command("batch.clean_up", "act('batch.clean_up')", "Clean up at the provider", "", _JOB,
        palette="Delete its files and batch there; the record stays here",
        acts=(Action.REMOVE, Choices(record=False, remote=True)), offered=lambda state: not state.script),
    Command("", "app.doctor", "Doctor", "", _ANY, palette="Look for what is wrong: store, keys, accounts"),
    Command("", "app.change_theme", "Theme", "", _ANY, palette="Change the colours"),
    Command("", "app.help", "Help", "", _ANY, palette="All keys, and what the words mean"),
    Command("", "app.quit", "Quit", "", _ANY, palette="Leave the dashboard"),
)
# fmt: on
BY_ID = {command.id: command for command in COMMANDS if command.id}
_FOOTER = sorted((command for command in COMMANDS if command.footer), key=lambda command: command.footer)
_JOB_FOOTER = sorted((one for one in COMMANDS if one.job_footer), key=lambda command: command.job_footer)
_ITEM_FOOTER = sorted((one for one in COMMANDS if one.item_footer), key=lambda command: command.item_footer)
_CHANGING = frozenset(command.id for command in COMMANDS if command.changes)
_NEED_JOB = tuple(
    one for one in COMMANDS if one.changes and (one.acts is not None or one.accepts is not None)
)
"""Dimmed unless the current job accepts them."""

APP_BINDINGS: list[BindingType] = [
    Binding("ctrl+q", "quit", "Quit", show=False, priority=False),
    Binding("ctrl+c", "interrupt", "Quit", show=False, system=True, priority=True),
    Binding("ctrl+z", "suspend_process", "Suspend", show=False, system=True, priority=True),
]
"""The app's own bindings, which work everywhere and cannot be changed."""


def bindings(place: Place) -> list[BindingType]:
    """Return the bindings of a screen or widget."""
    return [
        Binding(
            command.key,
            command.action,
            command.label,
            show=False,
            key_display=command.shown_key,
            id=command.binding_id(place) or None,
            tooltip=command.help,
        )
        for command in COMMANDS
        if command.key and place in command.places
    ]


def unavailable(row: JobRow | None, context: DashboardContext) -> frozenset[str]:
    """Return the ids of what a job does not accept now."""
    situation = context.situation()
    return frozenset(one.id for one in _NEED_JOB if row is None or not one.accepted(row, situation))


class Footer:
    """The keys of the main screen with their words, dimmed where the current job does not accept them."""

    def __init__(self, context: DashboardContext) -> None:
        self._context = context
        self._hints = {
            command.id: KeyHint(
                command.key_name(context.config.keys), command.label, command.action, always=command.pinned
            )
            for command in _FOOTER
        }

    def hints(self, rows: Sequence[JobRow], marked: bool) -> tuple[KeyHint, ...]:
        """Return every key, dimmed where no job of a line accepts it.

        With ``marked`` jobs, which may be any, all are enabled: the plan finds those that accept it. Where
        nothing can be written, the keys that would are left out: no job accepts them.
        """
        if self._context.read_only:
            return tuple(hint for name, hint in self._hints.items() if name not in _CHANGING)
        off = frozenset() if marked else unavailable(None, self._context)
        for row in rows:
            if not off:
                break
            off &= unavailable(row, self._context)
        return tuple(
            hint._replace(enabled=False) if name in off else hint for name, hint in self._hints.items()
        )


def job_hints(
    job: JobDetails, context: DashboardContext, *, items: bool, fetched: bool = False, keyed: bool = True
) -> list[KeyHint]:
    """Return the footer of a job's own screen: without the keys that write, where nothing can be written.

    ``items``: its items are on the screen, ``fetched``: as results that can be opened; ``keyed``: its items
    have keys and are kept.
    """
    off = unavailable(job.row, context) | (frozenset() if keyed else {"job.fetch"})
    hints: list[KeyHint] = []
    for command in _JOB_FOOTER:
        if context.read_only and (command.changes or command.id == "job.errors"):
            continue
        enabled = command.id not in off
        if not command.offered(CommandState(job.row, enabled, items, fetched)):
            continue
        if command.id == "job.errors":
            wrong = job.row.failed or job.errors or job.row.error or "error" in job.files
            enabled = job.row.terminal and bool(wrong)
        tone = "error" if command.id == "job.cancel" and enabled else "text"
        key = command.key_name(context.config.keys, Place.JOB)
        hints.append(KeyHint(key, command.label, command.action, enabled, tone, command.pinned))
    return hints


def item_hints(context: DashboardContext) -> list[KeyHint]:
    """Return the footer of a fetched result's screen."""
    return [
        KeyHint(
            command.key_name(context.config.keys, Place.ITEM),
            command.label,
            command.action,
            always=command.pinned,
        )
        for command in _ITEM_FOOTER
    ]


def palette(screen: Widget, place: Place | None, state: CommandState) -> Iterator[SystemCommand]:
    """Yield the commands of the palette that make sense on a screen."""
    for command in COMMANDS:
        here = place in command.places or Place.EVERYWHERE in command.places
        if command.palette and here and command.offered(state):
            run = partial(screen.call_later, screen.run_action, command.action)
            yield SystemCommand(command.label, command.palette, run)
