"""What a script's run works on, by which the next run finds its job."""

from pathlib import Path

from alembic import op

from jobdash.store.schema.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make a column; nothing is rewritten, so running jobs are not in the way."""
    run_file(op.get_bind(), Path(__file__).with_suffix(".sql"))
