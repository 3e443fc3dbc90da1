"""The dialog before an action: the plan, what it will do, and two buttons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Static

from jobdash.domain.backends.registry import grouped
from jobdash.domain.describe import plan_text
from jobdash.domain.plan import Action, Note, Plan
from jobdash.operations.planning import plan_again
from jobdash.tui.context import DashboardContext
from jobdash.tui.render.text import Span
from jobdash.tui.screens.dialog import Dialog
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.plan_list import PlanList, plan_entries
from jobdash.tui.widgets.text_views import Notes

_NUMBER = frozenset("0123456789, ")
_CHOICES = {
    "cancel_first": "cancel first",
    "record": "the record",
    "local_files": "local files",
    "remote": "at the provider",
    "stop_process": "stop the process",
    "restart": "start it again",
    "cut_off": "what was cut off",
}
"""What can be chosen, by its field."""


def choices_of(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield what can be chosen about a plan: the field, and what it is called."""
    offered: set[str] = set()
    if plan.action is Action.REMOVE:
        offered = {"record"}
        jobs = [decision.job for decision in plan.decisions]
        if any(job.unfinished and (job.queued_here or job.id not in plan.no_cancel) for job in jobs):
            offered.add("cancel_first")
        for rules, own in grouped(jobs):
            if not rules.at_provider:
                offered.add("local_files")
            elif any(job.id not in plan.out_of_reach for job in own):
                offered.add("remote")
            if any(job.fetched_at is not None for job in own):
                offered.add("local_files")
    if plan.can_stop:
        offered.add("stop_process")
    if plan.can_restart:
        offered.add("restart")
    if plan.action is Action.RETRY and plan.can_send_cut_off:
        offered.add("cut_off")
    many = sum(decision.job.id in plan.workers for decision in plan.acting) > 1
    plural = {"stop_process": "stop the processes", "restart": "start them again"} if many else {}
    for field, label in _CHOICES.items():
        if field in offered:
            yield field, plural.get(field, label)


class ChoiceBox(Checkbox):
    """A choice whose state is visible without colours: ``[x]``, ``[ ]``."""

    # Textual draws a side in the colour behind the mark; where that is no block, brackets belong to the mark.
    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    def on_mount(self) -> None:
        """Draw the mark only where it is chosen."""
        self._mark()

    def watch_value(self) -> None:
        """Draw the mark only where it is chosen."""
        self._mark()
        super().watch_value()

    def _mark(self) -> None:
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"


class NumberInput(Input):
    """A field for digits, in which every other character is a key of the dialog."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the field takes a key."""
        return super().check_consume_key(key, character) and character in _NUMBER

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character not in _NUMBER:
            event.prevent_default()  # no letter of the field: the key goes on to the dialog


class ConfirmScreen(Dialog[Plan | None]):
    """Asks before a plan is executed; the result is the plan as it was shown, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "keep", "Keep", show=False),
        Binding("y", "act", "Act", show=False),
    ]

    def __init__(self, plan: Plan, context: DashboardContext, remark: Note | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.context = context
        self._remarks = [remark] if remark is not None else []

    def body(self) -> Iterator[Widget]:
        """Yield the jobs, and what will happen to them."""
        entries = plan_entries(self.plan, self.context.clock(), self.context.symbols)
        yield PlanList(self.context.symbols, entries, id="plan")
        yield Line(id="plan-place")
        yield Notes(id="notes")

    def foot(self) -> Iterator[Widget]:
        """Yield what can be chosen, and where the number is typed."""
        boxes = [
            ChoiceBox(Content(label), getattr(self.plan.choices, field), id=f"choice-{field}", compact=True)
            for field, label in choices_of(self.plan)
        ]
        if boxes:
            yield Horizontal(*boxes, id="choices", classes=f"of-{len(boxes)}")
        entry = NumberInput(id="number", compact=True, restrict=r"[0-9, ]*", max_length=12)
        words = Static("", id="typed-words", markup=False)
        yield Horizontal(words, entry, Static("", id="typed-wrong", markup=False), id="typed")

    def buttons(self) -> Iterator[Button]:
        """Yield the safe button and the red one."""
        yield Button(Content(plan_text.safe_button(self.plan)), id="keep")
        variant: Literal["primary", "error"] = "primary" if self.plan.action is Action.RETRY else "error"
        yield Button(Content(""), id="act", variant=variant)

    def on_mount(self) -> None:
        """Show what will happen."""
        self._draw()
        self.watch(self.query_one("#plan"), "scroll_y", self._draw_place, init=False)

    def _fit(self) -> None:
        super()._fit()
        self.call_after_refresh(self._draw_place)

    def _draw_place(self) -> None:
        """Show which of the jobs are in sight, and the keys that scroll."""
        place, line = self.query_one("#plan", PlanList).place, self.query_one("#plan-place", Line)
        line.display = bool(place)
        line.put([Span(f" {place} {self.context.symbols.dot} PgDn PgUp", "muted")] if place else [])

    def focus_first(self) -> None:
        """Put the focus where the number is typed, else on the safe button."""
        self.query_one("#number" if self.plan.typed else "#keep").focus()

    def _draw(self) -> None:
        plan = self.plan
        self.set_title(plan_text.title(plan))
        self.query_one("#dialog").set_class(plan.severe, "severe")
        self.query_one("#notes", Notes).put([*self._remarks, *plan_text.notes(plan)])
        keep = self.query_one("#keep", Button)
        keep.label = Content(plan_text.safe_button(plan))
        act = self.query_one("#act", Button)
        # A retry ends nothing: neither red nor crossed out.
        mark = "" if plan.action is Action.RETRY else f"{self.context.symbols.act} "
        act.label = Content(f"{mark}{plan_text.danger_button(plan)}")
        for button in (keep, act):  # a label alone does not make room for itself
            button.refresh(layout=True)
        self.query_one("#typed").display = plan.typed
        self.query_one("#typed-words", Static).update(Content(f"Type {len(plan.acting):,}, then Enter: "))
        self._check_typed()

    def _may_act(self) -> bool:
        if not self.plan.acting:
            return False
        if not self.plan.typed:
            return True
        return self._number == str(len(self.plan.acting))

    @property
    def _number(self) -> str:
        return self.query_one("#number", Input).value.replace(",", "").replace(" ", "")

    @on(Input.Changed, "#number")
    def _typed(self) -> None:
        self._check_typed()

    def _check_typed(self, *, entered: bool = False) -> None:
        """Enable the red button, and show when what was typed cannot become the number any more."""
        may, wanted = self._may_act(), str(len(self.plan.acting))
        self.query_one("#act", Button).disabled = not may
        wrong = not may and (entered or not wanted.startswith(self._number))
        self.query_one("#typed-wrong", Static).update(
            Content(f"that is not {len(self.plan.acting):,}" if wrong else "")
        )

    @on(Input.Submitted, "#number")
    def _submitted(self) -> None:
        # Typing the number is the confirmation.
        if self._may_act():
            self.action_act()
        else:
            self._check_typed(entered=True)

    @on(Checkbox.Changed)
    def _chosen(self, event: Checkbox.Changed) -> None:
        field = (event.checkbox.id or "").removeprefix("choice-")
        choices = self.plan.choices.choosing(field, event.value)
        if choices == self.plan.choices:
            return
        self.plan = plan_again(self.plan, self.context.situation(), choices)
        entries = plan_entries(self.plan, self.context.clock(), self.context.symbols)
        self.query_one("#plan", PlanList).put(entries)
        self._draw()
        self.refit()

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Confirm the plan."""
        if self.drawn and self._may_act():
            self.dismiss(self.plan)
