"""The errors of a batch and its failed requests as ``--json`` prints them."""

from __future__ import annotations

from typing import Any

from jobdash.domain.failures import failure_groups, truncated
from jobdash.domain.job import JobDetails
from jobdash.operations.job_lookup import Browser


def failures_json(job: JobDetails, browser: Browser) -> dict[str, Any]:
    """Return every error that is known, the groups they fall into, and whether there are more.

    ``errors`` has those of the batch itself (with ``line``), then those of its failed requests (with
    ``custom_id``, whatever the provider calls the key of a request).
    """
    failed = browser.failed_requests(job.row.id)
    own = [error | {"custom_id": None} for error in job.errors if "count" not in error]
    requests = [
        {
            "message": item.error,
            "code": item.error_type,
            "line": None,
            "param": None,
            "custom_id": item.key,
        }
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
