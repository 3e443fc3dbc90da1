"""A line in the log, as any write of the product appends one."""

from __future__ import annotations

from jobdash.store.statements import Statement
from jobdash.store.writer import Writer

_INSERT_EVENT = Statement("insert_event")


def log(
    writer: Writer,
    action: str,
    result: str,
    detail: str = "",
    *,
    job_id: int | None = None,
    bulk: str | None = None,
) -> None:
    with writer._transaction() as connection:
        if job_id is not None:
            writer._logged(connection, job_id, action, result, detail, bulk=bulk)
            return
        facts = {"action": action, "result": result, "detail": detail, "bulk": bulk}
        actor = {"at": writer._clock(), "actor": writer._actor.name, "face": writer._actor.face}
        nobody = dict.fromkeys(("job_id", "job_public_id", "job_name", "account"))
        _INSERT_EVENT.run(connection, **facts, **actor, **nobody)
