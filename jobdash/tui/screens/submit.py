"""The dialog in which a file is chosen, checked and submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, DirectoryTree, Input, Label, Select
from textual.widgets.directory_tree import DirEntry
from textual.widgets.tree import TreeNode

from jobdash.domain.account import Account
from jobdash.domain.describe.submit_text import same_file, waiting_words
from jobdash.domain.tags import parse_tags
from jobdash.domain.text import clean
from jobdash.operations.providers import submit_settings
from jobdash.operations.submission.check import SubmitCheck, SubmitForm, check
from jobdash.operations.submission.request import SubmitRequest
from jobdash.tui.context import DashboardContext
from jobdash.tui.render.text import TextLine, wrapped
from jobdash.tui.screens.confirm import ChoiceBox
from jobdash.tui.screens.dialog import Dialog
from jobdash.tui.widgets.text_views import LinesView

_FIELDS = {"file": "File", "name": "Name", "model": "Model", "endpoint": "Endpoint", "tags": "Tags"}
_PLACEHOLDERS = {
    "file": "a .jsonl file; choose it below, or type its path",
    "name": "the file's name",
    "tags": "team=search run=42",
}
_BY_PROVIDER = ("model", "endpoint")
"""Fields that only some providers want."""
_FRAME = 8
_LONGEST = 500
"""Characters of one fault."""
SUFFIX = ".jsonl"
_LONGEST_NAME = 200


class FileTree(DirectoryTree):
    """Folders and JSONL files; hidden ones are left out."""

    # One cell wide each, and ASCII.
    ICON_NODE_EXPANDED = "- "
    ICON_NODE = "+ "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is neither a folder nor a JSONL file."""
        return [
            path
            for path in paths
            if not path.name.startswith(".") and (path.suffix.lower() == SUFFIX or self._safe_is_dir(path))
        ]

    def render_label(self, node: TreeNode[DirEntry], base_style: Style, style: Style) -> Text:
        """Return a name, which comes from outside, as text without control characters."""
        icon = self.ICON_FILE
        if node.allow_expand:
            icon = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        name = clean(str(node.label), _LONGEST_NAME)
        return Text.assemble((icon, base_style), (name, style), no_wrap=True)


class SubmitScreen(Dialog[SubmitRequest | None]):
    """Asks for a file and its settings; the result is a request whose file passed the check, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "keep", "Keep", show=False),
        Binding("ctrl+s", "act", "Submit", show=False),
    ]

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context
        self._accounts = {account.name: account for account in context.config.accounts}
        self.result: SubmitCheck | None = None
        """The result of the check of the form as it is now; None before there is one."""
        self._checks = 0
        """How many checks have begun; an answer to any but the last one is out of date."""
        self._checked: tuple[str, ...] = ()
        """The values of the form when the last check began."""

    def body(self) -> Iterator[Widget]:
        """Yield the fields, and the result of the check."""
        yield self._field("file")
        yield FileTree(Path.cwd(), id="files")
        names = [(clean(name, 40), name) for name in self._accounts]
        first = self.context.config.default_account or next(iter(self._accounts))
        chosen = Select(names, value=first, allow_blank=False, id="account", compact=True)
        yield Horizontal(Label("Account"), chosen, classes="field")
        for name in ("name", *_BY_PROVIDER, "tags"):
            yield self._field(name)
        box = ChoiceBox(Content("split it into parts"), id="split", compact=True)
        box.display = False
        yield box
        yield LinesView(id="check")

    def _field(self, name: str) -> Widget:
        entry = Input(id=name, compact=True, placeholder=_PLACEHOLDERS.get(name, ""))
        return Horizontal(Label(_FIELDS[name]), entry, classes="field", id=f"{name}-field")

    def buttons(self) -> Iterator[Button]:
        """Yield the safe button, the check, and the submit."""
        yield Button(Content("Don't submit"), id="keep")
        yield Button(Content("Check"), id="again")
        yield Button(Content("Submit"), id="act", variant="primary", disabled=True)

    def on_mount(self) -> None:
        """Write the title, and ask for what the account's provider wants."""
        self.set_title("Submit a file")
        self._fit_fields()

    def focus_first(self) -> None:
        """Put the focus where the path is typed."""
        self.query_one("#file", Input).focus()

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _values(self) -> tuple[str, ...]:
        split = str(self.query_one("#split", ChoiceBox).value)
        return (self._account.name, split, *(self._value(name) for name in _FIELDS))

    @property
    def _account(self) -> Account:
        return self._accounts[str(self.query_one("#account", Select).value)]

    def _fit_fields(self) -> None:
        """Show the fields that the account's provider wants."""
        wanted = submit_settings(self._account)
        for name in _BY_PROVIDER:
            self.query_one(f"#{name}-field").display = name in wanted

    # ── the check ──────────────────────────────────────────────────────────────────────────────────────────

    @on(FileTree.FileSelected)
    def _chosen(self, event: FileTree.FileSelected) -> None:
        self.query_one("#file", Input).value = str(event.path)
        self.action_check()

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self) -> None:
        """Forget the check of what has changed since."""
        if self._values() == self._checked:
            return
        self._checked = ()
        self._fit_fields()
        self._checks += 1
        self._show(None)

    @on(ChoiceBox.Changed, "#split")
    def _cut(self) -> None:
        """Check again, for other parts."""
        if self._values() != self._checked:
            self.action_check()

    @on(Input.Submitted)
    @on(Button.Pressed, "#again")
    def action_check(self) -> None:
        """Check the file in a thread."""
        try:
            form = self._form()
        except ValueError as error:
            self._show(SubmitCheck(None, str(error)))
            return
        self._checks += 1
        self._checked = self._values()
        self._show(None, (("Checking …", "muted"),))
        self.run_worker(self._check(form, self._checks), name="check")

    def _form(self) -> SubmitForm:
        """Return the values of the form; ValueError with what is wrong in it."""
        typed = self._value("file")
        if not typed:
            raise ValueError("choose a file first")
        wanted = submit_settings(self._account)
        model, endpoint = (self._value(name) if name in wanted else "" for name in _BY_PROVIDER)
        try:
            tags = parse_tags(self._value("tags").replace(",", " ").split())
        except ValueError as error:
            raise ValueError(f"tag {error}") from None
        try:
            path = Path(typed).expanduser()
        except RuntimeError as error:  # no user of that name
            raise ValueError(str(error)) from None
        split = self.query_one("#split", ChoiceBox).value
        return SubmitForm(
            path, self._account, self._value("name"), model, endpoint, tuple(tags.items()), split
        )

    async def _check(self, form: SubmitForm, number: int) -> None:
        try:
            context = self.context
            prices, now = context.config.prices, context.clock()
            found = await asyncio.to_thread(check, form, context.open_browser, prices, now)
        except OSError as error:
            found = SubmitCheck(None, str(error))
        if number == self._checks and self.is_attached:
            self._show(found)

    def _show(self, found: SubmitCheck | None, *more: TextLine) -> None:
        self.result = found
        lines = list(more) if found is None else check_lines(found, self.size.width, self.context.clock())
        view = self.query_one("#check", LinesView)
        view.put(lines)
        view.display = bool(lines)
        if found is not None and (found.over_limit or found.doubtful):
            self.query_one("#split", ChoiceBox).display = True
        sound = found is not None and found.request is not None
        doubts = found is not None and found.doubtful
        act = self.query_one("#act", Button)
        act.disabled = not sound
        act.label = Content("Submit all the same" if doubts else "Submit")
        act.refresh(layout=True)
        if sound:  # where there is a doubt, a second Enter must not send the file
            (self.query_one("#keep", Button) if doubts else act).focus()
        self.refit()
        if lines:
            self.call_after_refresh(view.scroll_visible, animate=False)

    def on_resize(self) -> None:
        """Wrap the result of the check again; the dialog fits its body then."""
        if self.result is not None:
            lines = check_lines(self.result, self.size.width, self.context.clock())
            self.query_one("#check", LinesView).put(lines)

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Submit what was checked."""
        if self.drawn and self.result is not None and self.result.request is not None:
            self.dismiss(self.result.request)

    def action_scroll_body(self, by: int) -> None:
        """Scroll by a screen: the tree of files where it has the focus, else the form."""
        tree = self.query_one(FileTree)
        if self.focused is not tree:
            super().action_scroll_body(by)
        elif by < 0:
            tree.action_page_up()
        else:
            tree.action_page_down()

    def action_scroll_to(self, where: str) -> None:
        """Go to the beginning or the end: of the entry or the tree that has the focus, else of the form."""
        end, focused = where == "end", self.focused
        if isinstance(focused, Input):
            focused.action_end() if end else focused.action_home()
        elif isinstance(focused, FileTree):
            focused.action_scroll_end() if end else focused.action_scroll_home()
        else:
            super().action_scroll_to(where)


def check_lines(found: SubmitCheck, width: int, now: int) -> list[TextLine]:
    """Return what a check has found, wrapped to fit into a dialog on a screen of this width."""
    lines: list[tuple[str, str]] = []
    if found.request is None:
        lines.append((found.head, "error"))
        lines += [(f"  {fault}", "text") for fault in found.faults]
    else:
        request = found.request
        lines.append((request.contents(found.cost), "success"))
        lines += [(waiting_words(found.waiting), "text")] if found.waiting else []
        lines += [(doubt, "warning") for doubt in request.doubts]
        lines += [(same_file(row, now), "warning") for row in found.sent_before]
    room = max(20, min(width * 88 // 100, 100) - _FRAME)
    return [((part, tone),) for text, tone in lines for part in wrapped(clean(text, _LONGEST), room)]
