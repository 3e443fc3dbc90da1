"""The queue of submits: families of parts, estimated tokens, and what waits to be sent."""

from jobdash.store.schema.migrate import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add columns and indexes; no table is rewritten, so running jobs are not in the way."""
    run_file(__file__)
