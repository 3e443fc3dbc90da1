"""Profile: which of the servers with its provider's API has a job; known once its account was asked again."""

from jobdash.store.schema.migrate import run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
