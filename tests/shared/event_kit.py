"""A line in the log, as any write of the product appends one."""

from __future__ import annotations

from jobdash.store.writer import Writer


def log(
    writer: Writer,
    action: str,
    result: str,
    detail: str = "",
    *,
    job_id: int | None = None,
    account: str | None = None,
    bulk: str | None = None,
) -> None:
    with writer._transaction() as connection:
        row = None if job_id is None else writer._row(connection, job_id)
        writer._add_event(
            connection, writer._clock(), action, row, result, detail, bulk=bulk, account=account
        )
