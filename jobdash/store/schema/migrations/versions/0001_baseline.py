"""The first schema, as ``schema.sql`` was then; the file beside this one never changes again."""

from pathlib import Path

from alembic import op

from jobdash.store.schema.migrate import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, index and trigger."""
    run_file(op.get_bind(), Path(__file__).with_suffix(".sql"))
