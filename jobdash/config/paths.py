"""Where the settings file and the store lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import ConfigError
from jobdash.store.location import StoreLocation, is_address, postgres_location, refuse_mistyped

_XDG = {"config": ("XDG_CONFIG_HOME", ".config"), "data": ("XDG_DATA_HOME", ".local/share")}


def default_config_path(env: Mapping[str, str] = os.environ) -> Path:
    """Return where ``config.toml`` is looked for."""
    if named := env.get("JOBDASH_CONFIG"):
        return at_home(named)
    return _user_folder("config") / "config.toml"


def default_store_location(env: Mapping[str, str] = os.environ) -> StoreLocation:
    """Return where the store is; raises ConfigError."""
    if named := env.get("JOBDASH_DATABASE"):
        return store_location(named)
    return data_folder() / "jobdash.db"


def data_folder() -> Path:
    """Return where this user's store lies, and what belongs to the jobs of a store on a server."""
    return _user_folder("data")


def _user_folder(kind: str) -> Path:
    """Return where this user's ``config`` or ``data`` lies, as `platformdirs` has it.

    On Linux, where it is simple, without importing that: it takes 8 ms of the start of a user's script.
    """
    variable, otherwise = _XDG[kind]
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ:
        base = Path(os.environ.get(variable) or Path(os.environ.get("HOME", "")) / otherwise)
        if base.is_absolute():
            return base / "jobdash"
    import platformdirs

    return (
        platformdirs.user_config_path("jobdash")
        if kind == "config"
        else platformdirs.user_data_path("jobdash")
    )


def store_location(named: str) -> StoreLocation:
    """Return what a path, a ``sqlite:///`` URL or a ``postgresql://`` URL names; raises ConfigError.

    Of the URL of another database, which may hold a password, the scheme is left: the store refuses it by
    name, with its own exit code.
    """
    if is_address(named):
        return postgres_location(named, data_folder())
    if named.startswith("sqlite:///"):
        named = named.removeprefix("sqlite:///")
    refuse_mistyped(named)
    scheme, of_url, _ = named.partition("://")
    return Path(f"{scheme.strip()}://…") if of_url else at_home(named).absolute()


def at_home(named: str) -> Path:
    """Return a path with ``~`` resolved; ConfigError where there is no such user."""
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{clean(named)}: no user's home folder is called {clean(Path(named).parts[0])}"
        ) from None
