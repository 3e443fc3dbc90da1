"""Job functions: which one a job is of, its items as JSON, and the parts that workers do."""

from pathlib import Path

from alembic import op

from jobdash.store.schema.migrate import run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add columns and a table; no table is rewritten, so running jobs are not in the way."""
    run_file(op.get_bind(), Path(__file__).with_suffix(".sql"))
