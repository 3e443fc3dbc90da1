"""The dialog in front of every action: a frozen plan, what it will do, and two buttons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Static

from jobdash.domain import wording
from jobdash.domain.plan import Action, Plan
from jobdash.operations.plan import plan_again
from jobdash.tui.context import Context
from jobdash.tui.widgets.plan_list import PlanList, plan_entries

_CHOICES = {
    "cancel_first": "cancel first",
    "record": "the record",
    "remote": "what the provider keeps",
}
"""The choices of a removal by their field."""


class ConfirmScreen(ModalScreen[Plan | None]):
    """Asks once; the answer is the plan as it was shown, or None."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "keep", "Keep", show=False),
        Binding("n", "keep", "Keep", show=False),
        Binding("y", "act", "Act", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, plan: Plan, context: Context) -> None:
        super().__init__()
        self.plan = plan
        self.context = context
        self._drawn = False

    def compose(self) -> ComposeResult:
        """Lay out the dialog; the safe button stands first."""
        plan = self.plan
        with Vertical(id="dialog", classes="severe" if plan.severe else ""):
            entries = plan_entries(plan, self.context.clock(), self.context.symbols)
            yield PlanList(self.context.symbols, entries, id="plan")
            yield VerticalScroll(id="notes", can_focus=False)
            if plan.action is Action.REMOVE:
                with Horizontal(id="choices"):
                    for field, label in _CHOICES.items():
                        value = getattr(plan.choices, field)
                        yield Checkbox(Content(label), value, id=f"choice-{field}", compact=True)
            if plan.typed:
                with Horizontal(id="typed"):
                    yield Static("", id="typed-words", markup=False)
                    yield Input(id="number", compact=True, restrict=r"[0-9, ]*", max_length=12)
            with Horizontal(id="buttons"):
                yield Button(Content(wording.safe_button(plan)), id="keep")
                yield Button(Content(""), id="act", variant="error")

    def on_mount(self) -> None:
        """Say what will happen; keys count only when it can be read."""
        self._say()
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._drawn = True
        self.query_one("#number" if self.plan.typed else "#keep").focus()

    def _say(self) -> None:
        plan = self.plan
        dialog = self.query_one("#dialog")
        dialog.border_title = Content(f" {wording.title(plan)} ")
        dialog.set_class(plan.severe, "severe")
        notes = self.query_one("#notes", VerticalScroll)
        notes.remove_children()
        notes.mount_all(_note(note) for note in wording.notes(plan))
        act = self.query_one("#act", Button)
        act.label = Content(f"{self.context.symbols.act} {wording.danger_button(plan)}")
        if plan.typed:
            self.query_one("#typed-words", Static).update(f"Type {len(plan.acting):,} to go on: ")
        act.disabled = not self._may_act()

    def _may_act(self) -> bool:
        if not self.plan.acting:
            return False
        if not self.plan.typed:
            return True
        typed = self.query_one("#number", Input).value.replace(",", "").replace(" ", "")
        return typed == str(len(self.plan.acting))

    @on(Input.Changed, "#number")
    def _typed(self) -> None:
        self.query_one("#act", Button).disabled = not self._may_act()

    @on(Input.Submitted, "#number")
    def _submitted(self) -> None:
        self.query_one("#act" if self._may_act() else "#keep", Button).focus()

    @on(Checkbox.Changed)
    def _chosen(self, event: Checkbox.Changed) -> None:
        field = (event.checkbox.id or "").removeprefix("choice-")
        chosen: dict[str, Any] = {field: event.value}
        choices = replace(self.plan.choices, **chosen)
        self.plan = plan_again(self.plan, self.context.situation(), choices)
        entries = plan_entries(self.plan, self.context.clock(), self.context.symbols)
        self.query_one("#plan", PlanList).put(entries)
        self._say()

    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Change nothing."""
        if self._drawn:
            self.dismiss(None)

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Do what the dialog says."""
        if self._drawn and self._may_act():
            self.dismiss(self.plan)


def _note(note: wording.Note) -> Horizontal:
    tone = "warned" if note.warning else ""
    return Horizontal(
        Static(note.topic, classes="topic", markup=False),
        Static(note.text, classes=f"text {tone}", markup=False),
        classes="note",
    )
