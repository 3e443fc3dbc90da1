"""Attention: what a person has seen of a job, and of an account that fails."""

from jobdash.store.schema.migrate import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add columns; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
