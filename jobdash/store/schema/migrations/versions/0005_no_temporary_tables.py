"""Conditions without ``IN``: to write a row makes no temporary tables."""

from alembic import op

from jobdash.store.dialects import sqlite
from jobdash.store.schema.migrate import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace conditions by equal ones in the text of the schema; no row and no index is rewritten."""
    connection = op.get_bind()
    with sqlite.schema_text_writable(sqlite.driver_of(connection)):
        run_file(__file__)
