"""Reviews: which jobs a person has reviewed."""

from jobdash.store.schema.migrate import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make a table; none is rewritten, so running jobs are not in the way."""
    run_file(__file__)
