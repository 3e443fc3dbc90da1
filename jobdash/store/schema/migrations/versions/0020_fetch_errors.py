"""Why the results of a batch could not be fetched by themselves."""

from jobdash.store.schema.migrate import run_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
