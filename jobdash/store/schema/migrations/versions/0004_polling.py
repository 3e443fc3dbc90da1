"""Polling: who polls an account now, and how long a job has looked the same."""

from jobdash.store.schema.migrate import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add two columns; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
