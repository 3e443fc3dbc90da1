"""Results: what was fetched of a batch, where it is, and until when its provider keeps it."""

from jobdash.store.schema.migrate import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add columns, and let their change count; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
