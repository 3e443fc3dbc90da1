"""Job functions: which one a job is of, its items as JSON, and the parts that workers do."""

from jobdash.store.schema.migrate import run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add columns and a table; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
