"""Local jobs: their attempts, and an outcome for each item."""

from pathlib import Path

from alembic import op

from jobdash.store.schema.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make two tables and a column; none is rewritten, so running jobs are not in the way."""
    run_file(op.get_bind(), Path(__file__).with_suffix(".sql"))
