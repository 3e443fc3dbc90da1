"""Notifications: the newest event that was sent."""

from jobdash.store.schema.migrate import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add a column; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
