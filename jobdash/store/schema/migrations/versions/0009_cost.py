"""Cost: the cached tokens, the cost with its order, and tokens that were kept in ``usage`` alone."""

from jobdash.store.schema.migrate import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add columns, and let costs be computed by the next sync; no table is rewritten."""
    run_file(__file__)
