"""People: whose key an account has, who polls it, and which host has fetched files."""

from jobdash.store.schema.migrate import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
