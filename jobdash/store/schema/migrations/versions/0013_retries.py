"""Retries: what each left out, so that a request of a family counts once; and which family each is in."""

from jobdash.store.schema.migrate import run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add columns, name the families there are; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
