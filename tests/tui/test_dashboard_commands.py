"""The registry of the dashboard's commands, and what is made from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.keys import format_key

from jobdash.tui.commands import BY_ID, COMMANDS, HelpGroup, Place, bindings
from jobdash.tui.screens.item import ItemScreen
from jobdash.tui.screens.job import JobScreen
from jobdash.tui.screens.main import MainScreen
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.jobs_view import JobsView

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
HOLDERS = {
    Place.MAIN: MainScreen,
    Place.LIST: JobsView,
    Place.TABLE: JobTable,
    Place.JOB: JobScreen,
    Place.ITEM: ItemScreen,
}
LISTED = [command for command in COMMANDS if command.group is not None]


def keys_of_the_readme() -> set[str]:
    table = README.split("\n## Keys\n")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    return {key.lower() for row in rows for key in re.findall(r"`([^`]+)`", row)}


def test_the_readme_names_every_key_of_the_help() -> None:
    named = keys_of_the_readme() | {"up", "down"}
    for command in LISTED:
        shown = {command.shown_key} if command.shown_key else {*map(format_key, command.key.split(","))}
        assert {key.lower().replace("esc", "escape").replace("^r", "ctrl+r") for key in shown} <= named, shown


def test_the_readme_names_every_id_of_the_keys_setting() -> None:
    described = README.split("`[keys]` takes the ids of the keys:")[1].split("\n\n")[0]
    ids = set(re.findall(r"`([a-z]+\.[a-z_]+)`", described))
    assert ids - {"tab.all", "tab.expired"} == {command.id for command in LISTED}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id or command.action)
def test_every_command_has_a_method_where_it_works(command) -> None:  # type: ignore[no-untyped-def]
    from jobdash.tui.app import JobdashApp

    name = command.action.partition("(")[0]
    for place in command.places:
        holder = JobdashApp if name.startswith("app.") else HOLDERS[place]
        assert callable(getattr(holder, f"action_{name.removeprefix('app.')}"))
    if name == "act":
        assert BY_ID[command.action[5:-2]] is command
        assert command.acts is not None


def test_ids_and_keys_are_unique_at_each_place() -> None:
    ids = [command.id for command in COMMANDS if command.id]
    assert len(ids) == len(set(ids))
    for places in ((Place.MAIN, Place.LIST, Place.TABLE), (Place.JOB,)):
        keys = [
            key
            for place in places
            for binding in bindings(place)
            if isinstance(binding, Binding)
            for key in binding.key.split(",")
        ]
        assert len(keys) == len(set(keys))


def test_the_help_has_a_group_for_each_heading() -> None:
    assert {command.group for command in LISTED} == set(HelpGroup)
