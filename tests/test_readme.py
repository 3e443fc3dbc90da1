"""The README is true: its reference of the commands is what ``--help`` says, its pictures and commands exist.

``python tests/test_readme.py`` writes the reference anew, and the lists of columns and of fields.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from jobdash.cli.main import COMMANDS, group
from jobdash.domain.fields import COLUMN_SETTINGS
from jobdash.domain.filter import language as filter_language
from jobdash.domain.time import system_clock
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.store.sample_loader import build_sample_store

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=<!-- commands -->\n).*?(?=<!-- /commands -->)", re.DOTALL)
COLUMNS = re.compile(r"(?<=`\[ui\] columns` takes any of )[^(]+(?= \()")
FIELDS = re.compile(r"(?<=\nFields: ).+(?=\.\n)")
WIDTH = 100


def help_text(name: str) -> str:
    """Return what ``jobdash NAME --help`` prints."""
    # With the settings the program has: a command keeps the help option it was first asked with.
    names = group.context_settings["help_option_names"]
    with click.Context(group, info_name="jobdash", terminal_width=WIDTH, help_option_names=names) as parent:
        command = group.get_command(parent, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH) as context:
            return command.get_help(context).rstrip()


def reference() -> str:
    """Return the README's part about the commands."""
    parts = []
    for name in COMMANDS:
        text = help_text(name)
        summary = next(line.strip() for line in text.splitlines()[1:] if line.strip())
        head = f"<details><summary><code>jobdash {name}</code>: {summary}</summary>"
        parts.append(f"{head}\n\n```\n{text}\n```\n\n</details>\n")
    return "\n" + "\n".join(parts) + "\n"


def columns() -> str:
    """Return the columns that a setting may name, but for those that are always there."""
    return ", ".join(f"`{name}`" for name in COLUMN_SETTINGS if name not in {"name", "status"})


PARTS = ((BLOCK, reference), (COLUMNS, columns), (FIELDS, lambda: ", ".join(filter_language.FIELDS)))


@pytest.mark.parametrize(("place", "made"), PARTS, ids=["commands", "columns", "fields"])  # B-15, B-18
def test_what_the_readme_lists_is_what_there_is(place: re.Pattern[str], made: Callable[[], str]) -> None:
    found = place.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == made()


def test_every_picture_of_the_readme_is_there_and_built_by_the_script() -> None:
    named = set(re.findall(r"\((screenshots/[\w-]+\.png)\)", README.read_text(encoding="utf-8")))
    assert named
    for picture in named:
        assert (ROOT / picture).exists(), picture
        assert (ROOT / picture).with_suffix(".svg").exists(), picture


def test_the_exit_codes_of_the_readme_are_those_of_the_program() -> None:
    from jobdash import errors

    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.JobdashError)
    }
    told = README.read_text(encoding="utf-8").partition("**Exit codes**")[2].partition("\n\n")[0]
    for code in codes:
        assert re.search(rf"\b{code}\b", told), code


def test_the_scripts_of_the_pictures_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "screenshots"))
    own_scripts = importlib.import_module("own_scripts")
    path = tmp_path / "jobs.db"
    build_sample_store(path, [])
    own_scripts.add_scripts(path, system_clock())
    with Browser(path) as browser:
        rows = browser.page(Scope(), Sort(), None, 9)
    assert {row.name: (row.status, row.done) for row in rows} == {
        "thumbnails": ("in_progress", 96),
        "import-orders": ("cancelled", 62),
        "transcribe-tapes": ("in_progress", 7),
    }


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for place, made in PARTS:
        text = place.sub(lambda _, made=made: made(), text)  # type: ignore[misc]
    README.write_text(text, encoding="utf-8")
