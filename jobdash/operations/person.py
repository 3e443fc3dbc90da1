"""The person who runs this process, as the log names them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobdash.store.records import Actor


def current_user() -> str:
    """Return the name of the user who runs this process."""
    import getpass  # a store without keys does without a name

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"


def current_host() -> str:
    """Return the name of this computer."""
    return os.uname().nodename or "unknown"


def is_elsewhere(host: str | None) -> bool:
    """Whether files of a host are on another computer; None stands for this one."""
    return host is not None and host != current_host()


def machine_name(machine: str) -> str:
    """Return this computer's name for its own id; another one's id as it is."""
    from jobdash.store.owner import current_owner

    return current_host() if machine == current_owner().machine else machine


def current_person() -> str:
    """Return this user on this computer: ``user@host``."""
    return f"{current_user()}@{current_host()}"


def current_actor(face: str) -> Actor:
    """Return this process, acting through a face (``tui``, ``cli``), for events and intents."""
    # Only here: a command that reads has no use for the records of writing.
    from jobdash.store.owner import current_owner
    from jobdash.store.records import Actor

    return Actor(current_user(), current_host(), face, current_owner())
