"""A job, its errors and its failed requests as JSON and CSV: the fields that scripts rely on."""

from __future__ import annotations

from typing import Any

from jobdash.domain.field_values import values_of_details
from jobdash.domain.fields import Face, fields_of
from jobdash.domain.job import JobDetails
from jobdash.operations.job_lookup import Browser

_FIRST = ("id", "provider", "account", "remote_id", "name", "status", "raw_status")

CSV_FIELDS = tuple(field.name for field in fields_of(Face.CSV))
"""The fields of `job_json` that fit a cell."""

job_json = values_of_details(fields_of(Face.JSON | Face.CSV, _FIRST))
"""Return a job as every ``--json`` prints it; what is unknown is None, never 0."""


def failures_json(job: JobDetails, browser: Browser) -> dict[str, Any]:
    """Return every error that is known, the groups they fall into, and whether there are more.

    ``errors`` has those of the batch itself (with ``line``), then those of its failed requests (with
    ``custom_id``, whatever the provider calls the key of a request).
    """
    from jobdash.domain.failures import failure_groups, truncated  # a list of jobs does without

    failed = browser.failed_requests(job.row.id)
    own = [error | {"custom_id": None} for error in job.errors if "count" not in error]
    requests = [
        {"message": item.error, "code": item.error_type, "line": None, "param": None, "custom_id": item.key}
        for item in browser.iter_items(job.row.id)
    ]
    return {
        "errors": own + requests,
        "errors_truncated": truncated(job, failed),
        "error_groups": [
            {
                "code": group.code,
                "message": group.message,
                "count": group.count,
                "lines": list(group.lines),
                "custom_ids": list(group.keys),
            }
            for group in failure_groups(job, failed)
        ],
    }
