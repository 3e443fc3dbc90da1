"""Families as one row: who stands for whom, and the indexes of a list without the others."""

from jobdash.store.schema.migrate import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add columns, find the families there are, make indexes anew; no table is rewritten."""
    run_file(__file__)
