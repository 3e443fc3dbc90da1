"""The first schema, as ``schema.sql`` was then; the file beside this one never changes again."""

from jobdash.store.schema.migrate import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, index and trigger."""
    run_file(__file__)
