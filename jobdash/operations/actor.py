"""The actor of this process, for events and intents."""

from __future__ import annotations

import getpass
import os

from jobdash.store.owner import current_owner
from jobdash.store.records import Actor


def current_actor(face: str) -> Actor:
    """Return this process, acting through a face (``tui``, ``cli``), for events and intents."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        user = "unknown"
    return Actor(user, os.uname().nodename or "unknown", face, current_owner())
