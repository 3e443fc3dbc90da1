"""The text in place of an empty table: why it is empty, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content
from textual.widgets import Static

from jobdash.config.settings import Config
from jobdash.domain.job import AccountHealth
from jobdash.domain.text import clean
from jobdash.operations.providers import account_variables

Words = tuple[str, list[str]]
"""A headline, and lines below it."""


class EmptyState(Static):
    """A headline and a few lines, centred."""

    DEFAULT_CSS = """
    EmptyState { height: 1fr; content-align: center middle; text-align: center; display: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[str, tuple[str, ...]] = ("", ())

    @property
    def plain(self) -> str:
        """The lines as text."""
        return "\n".join([self._shown[0], *self._shown[1]])

    def put(self, headline: str, lines: Sequence[str] = ()) -> None:
        """Show a headline, and lines below it."""
        new = (headline, tuple(lines))
        if new == self._shown:
            return
        self._shown = new
        parts: list[tuple[str, str]] = [(headline, "bold")]
        parts += [(f"\n{line}" if line else "\n", "$foreground 70%") for line in lines]
        self.update(Content.assemble(*parts))


def empty_store_words(
    config: Config, health: Mapping[str, AccountHealth], found: Mapping[str, int], read_only: str | None
) -> Words:
    """Return the text for a store without any job: no account, none that works, a first sync, or no batch."""
    wrong = {account.name: account.reason for account in config.unusable}
    names = [*(account.name for account in config.accounts), *wrong]
    if not names:
        return _no_account(config)
    failing = {name: error for name in names if name in health and (error := health[name].error)} | wrong
    if len(failing) == len(names):
        return "No account could be asked", [
            "",
            *(f"{clean(name, 32)}: {clean(error, 300)}" for name, error in failing.items()),
            "",
            "F5 asks again   ·   ctrl+p Doctor looks closer",
        ]
    first = [name for name in names if name not in failing and not _listed(health.get(name))]
    if first and read_only is None:
        seen = sum(found.values())
        asked = ", ".join(clean(name, 32) for name in first)
        return f"Asking {asked} for the first time …", [f"{seen:,} found so far"] if seen else []
    return "No batch yet", ["jobdash submit FILE sends one; what others submit appears here by itself"]


def _listed(health: AccountHealth | None) -> bool:
    return health is not None and health.first_sync_done


def _no_account(config: Config) -> Words:
    first, *others = account_variables()
    return "No account yet", [
        f"export {first}=…",
        f"or {', '.join(others)}",
        "then start jobdash again",
        *(("", *config.half_set) if config.half_set else ()),
        "",
        "or try   jobdash demo   ·   what is missing:   jobdash doctor",
        "",
        f"settings are looked for in {clean(str(config.path))}",
    ]
