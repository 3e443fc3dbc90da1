"""What happens to the files of a store while it is in use."""

from __future__ import annotations

from pathlib import Path


def delete(path: Path) -> None:
    """Delete a store, with the files that SQLite has beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def move(path: Path) -> None:
    """Rename a store; the files beside it stay."""
    path.rename(path.with_name("moved.db"))
