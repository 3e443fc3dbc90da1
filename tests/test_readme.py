"""The README is true: its reference of the commands is what ``--help`` says, its pictures and commands exist.

``python tests/test_readme.py`` writes the reference anew, the lists of columns and of fields, and the tables
of providers and of servers.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import pytest

from jobdash.cli.main import COMMANDS, group
from jobdash.domain.fields import COLUMN_SETTINGS
from jobdash.domain.filter import language as filter_language
from jobdash.domain.provider_info import Profile, ProviderInfo
from jobdash.domain.time import system_clock
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.providers.input_check import input_rules
from jobdash.providers.registry import bundled
from jobdash.store.sample_loader import build_sample_store

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=<!-- commands -->\n).*?(?=<!-- /commands -->)", re.DOTALL)
COLUMNS = re.compile(r"(?<=`\[ui\] columns` takes any of )[^(]+(?= \()")
PROVIDERS = re.compile(r"(?<=<!-- providers -->\n).*?(?=<!-- /providers -->)", re.DOTALL)
PROFILES = re.compile(r"(?<=<!-- profiles -->\n).*?(?=<!-- /profiles -->)", re.DOTALL)
FIELDS = re.compile(r"(?<=\n)Fields: [^.]+\.(?=\n)")
WIDTH = 100
"""Characters in a line of help."""
README_WIDTH = 126
"""Characters in a line of prose."""


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


def table(*rows: Sequence[str]) -> str:
    """Return a table in Markdown, its first row the head."""
    assert {len(row) for row in rows} == {len(rows[0])}, "each row has all columns"
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join((head, "|---" * len(rows[0]) + "|", *rest)) + "\n"


def size(number: int) -> str:
    """Return a number of bytes in the unit that limits are documented in."""
    units = ((1024**3, "GiB"), (10**9, "GB"), (1024**2, "MiB"), (10**6, "MB"))
    found = [f"{number // unit:,} {word}" for unit, word in units if number % unit == 0]
    return found[0] if found else f"{number / 10**6:,.0f} MB"


def providers() -> str:
    """Return what each provider can tell and do."""
    infos = list(bundled().values())

    def row(what: str, of: Callable[[ProviderInfo], str]) -> list[str]:
        return [what, *(of(info) for info in infos)]

    def can(name: str, yes: str = "yes", no: str = "no") -> Callable[[ProviderInfo], str]:
        return lambda info: yes if getattr(info.capabilities, name) else no

    def limits(info: ProviderInfo) -> str:
        rules = input_rules(info)
        return (
            f"{rules.max_requests:,}, {size(rules.max_bytes)}"
            if rules.max_requests
            else size(rules.max_bytes)
        )

    def deleted(info: ProviderInfo) -> str:
        files = "files" if info.capabilities.deletes_results else "input files"
        can_be = {files: info.capabilities.deletes_files, "record": info.capabilities.deletes_records}
        return ", ".join(name for name, there in can_be.items() if there)

    return table(
        row("", lambda info: info.title),
        row("its key", lambda info: " or ".join(f"`{name}`" for name in info.key_envs)),
        row("its address", lambda info: f"`{info.base_url_env}`"),
        row("a line of the input", lambda info: ", ".join(f"`{name}`" for name in info.request_fields)),
        row("requests, size of a batch", limits),
        row("progress before the end", can("reports_progress", "counts", "none: age against its window")),
        row("name of what others submitted", can("carries_key")),
        row("says that a cancel is under way", can("reports_cancelling")),
        row("results of a cancelled batch", can("partial_results", "yes", "not promised")),
        row("clean up deletes", deleted),
        row("input can be had back", can("returns_input")),
    )


def profiles() -> str:
    """Return the servers that speak a provider's API, and what they do in another way."""
    rows = [["`profile`", "address", "windows", "differs"]]
    for profile in (each for info in bundled().values() for each in info.profiles if each.name != info.name):
        hosts = ", ".join(f"`{host}`" for host in profile.hosts)
        address = f"`{profile.base_url}`" if profile.base_url else hosts or "yours"
        windows = (" to " if profile.any_window_between else ", ").join(profile.windows)
        rows.append([f"`{profile.name}`", address, windows, "; ".join(differences(profile))])
    return table(*rows)


WORDS = {
    ("cancels", False): "no cancel",
    ("deletes_records", True): "a record can be deleted",
    ("deletes_files", False): "no files to delete",
    ("results_in_files", False): "results in the batch",
    ("returns_input", False): "input cannot be had back",
    ("reports_progress", False): "no counts",
    ("reports_cancelling", False): "does not say that a cancel is under way",
    ("newest_first", False): "list in no known order",
    ("carries_key", False): "no metadata",
}


def differences(profile: Profile) -> Iterator[str]:
    """Yield what a server does in another way."""
    if profile.key_header:
        yield f"key in the header `{profile.key_header}`"
    if profile.key_env:
        yield f"an account by itself with `{profile.key_env}` and `{profile.base_url_env}`"
    if not profile.pages:
        yield "list without pages"
    limits = (
        profile.max_requests and f"{profile.max_requests:,} requests",
        profile.max_bytes and size(profile.max_bytes),
    )
    if any(limits):
        yield f"at most {', '.join(filter(None, limits))}"
    yield from (WORDS[item] for item in profile.differs.items())
    if profile.adapter:
        yield "submitted in its own way"
    if profile.remark:
        yield profile.remark


def fields() -> str:
    """Return the sentence that lists the fields of filters, in lines as long as those around it."""
    return textwrap.fill(f"Fields: {', '.join(filter_language.FIELDS)}.", README_WIDTH)


PARTS = (
    (BLOCK, reference),
    (COLUMNS, columns),
    (FIELDS, fields),
    (PROVIDERS, providers),
    (PROFILES, profiles),
)


@pytest.mark.parametrize(
    ("place", "made"), PARTS, ids=["commands", "columns", "fields", "providers", "profiles"]
)  # B-15, B-18
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
