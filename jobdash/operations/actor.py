"""The actor of this process, for events and intents."""

from __future__ import annotations

from jobdash.operations.person import current_host, current_user
from jobdash.store.owner import current_owner
from jobdash.store.records import Actor


def current_actor(face: str) -> Actor:
    """Return this process, acting through a face (``tui``, ``cli``), for events and intents."""
    return Actor(current_user(), current_host(), face, current_owner())
