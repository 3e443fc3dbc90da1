"""What a script's run works on, by which the next run finds its job."""

from jobdash.store.schema.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make a column; nothing is rewritten, so running jobs are not in the way."""
    run_file(__file__)
