"""The parts that workers hold, by an index: each worker looks for them twice a second."""

from jobdash.store.schema.migrate import run_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the index; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
