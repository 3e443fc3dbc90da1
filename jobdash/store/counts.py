"""How many jobs there are, as the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from jobdash.domain.status import Tab


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are, by tab and by account and tab; removed ones are in none of them."""

    by_tab: dict[Tab, int]
    by_account: dict[str, dict[Tab, int]]
    revision: int
    """The store's revision they belong to."""

    @property
    def total(self) -> int:
        """All jobs that are not removed."""
        return self.by_tab[Tab.ALL]

    @property
    def unfinished(self) -> int:
        """Jobs that may still change, without those their provider lost."""
        return self.by_tab[Tab.RUNNING] + self.by_tab[Tab.PENDING] + self.by_tab[Tab.CANCELLING]
