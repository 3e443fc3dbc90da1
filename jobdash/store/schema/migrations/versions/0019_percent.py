"""How much of a batch is done, where its provider says that in place of counts."""

from jobdash.store.schema.migrate import run_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
