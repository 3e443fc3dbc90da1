"""Local jobs: their attempts, and an outcome for each item."""

from jobdash.store.schema.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make two tables and a column; none is rewritten, so running jobs are not in the way."""
    run_file(__file__)
