"""How many workers in a row were lost at a part."""

from jobdash.store.schema.migrate import run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the column; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
