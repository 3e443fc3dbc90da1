"""The batches of one account, newest first, found by id and paged through by cursor in logarithmic time."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from dataclasses import dataclass

from jobdash.demo.emulator.batch import Batch


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, and whether older ones follow."""

    batches: tuple[Batch, ...]
    has_more: bool


class BatchIndex:
    """Batches by age. Locked, because tests and the demo seed it from another thread than the server's."""

    def __init__(self) -> None:
        self._by_id: dict[str, Batch] = {}
        self._order: list[Batch] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, batch: Batch) -> None:
        """Put a batch in its place."""
        with self._lock:
            self._by_id[batch.id] = batch
            insort(self._order, batch, key=_age)

    def get(self, batch_id: str) -> Batch | None:
        """The batch of that id."""
        return self._by_id.get(batch_id)

    def remove(self, batch_id: str) -> bool:
        """Forget a batch; False if there is none of that id."""
        with self._lock:
            batch = self._by_id.pop(batch_id, None)
            if batch is not None:
                del self._order[self._place(batch)]
            return batch is not None

    def page(self, limit: int, *, after: Batch | None = None) -> BatchPage:
        """The `limit` newest batches that are older than `after`."""
        with self._lock:
            end = len(self._order) if after is None else self._place(after)
            start = max(0, end - limit)
            return BatchPage(tuple(reversed(self._order[start:end])), has_more=start > 0)

    def _place(self, batch: Batch) -> int:
        return bisect_left(self._order, _age(batch), key=_age)


def _age(batch: Batch) -> tuple[float, int]:
    """What orders batches; the number tells those of the same second apart."""
    return batch.created, batch.number
