"""A job, its errors and its failed requests as JSON and CSV: the fields that scripts rely on."""

from __future__ import annotations

from typing import Any

from jobdash.domain.describe.job_text import shown_status, stalled
from jobdash.domain.failures import failure_groups, truncated
from jobdash.domain.job import JobDetails
from jobdash.domain.status import Status
from jobdash.domain.time import rfc3339
from jobdash.operations.job_lookup import Browser

CSV_FIELDS = (
    "id", "name", "account", "provider", "remote_id", "status", "outcome", "status_reason", "model",
    "endpoint", "total", "succeeded", "failed", "cancelled", "expired", "remaining", "created_at",
    "started_at", "finished_at", "updated_at", "expires_at", "cancel_requested_at", "removed_at", "gone_at",
    "raw_status", "error", "left_behind", "shown_status", "fetched_at", "results_folder",
    "results_expire_at", "input_tokens", "output_tokens",
)  # fmt: skip
"""The fields of `job_json` that fit a cell."""


def job_json(job: JobDetails, now: int) -> dict[str, Any]:
    """Return a job as every ``--json`` prints it; what is unknown is None, never 0."""
    row = job.row
    return {
        "id": row.public_id,
        "provider": row.provider,
        "account": row.account,
        "remote_id": row.remote_id,
        "name": row.name,
        "status": str(row.status),
        "raw_status": row.raw_status,
        "remote_status": str(row.remote_status),
        "outcome": row.outcome and str(row.outcome),
        "status_reason": status_reason(job),
        "verdict": row.verdict,
        "model": row.model,
        "endpoint": row.endpoint,
        "total": row.total,
        "succeeded": row.succeeded,
        "failed": row.failed,
        "cancelled": row.cancelled,
        "expired": row.expired,
        "remaining": row.remaining,
        "created_at": rfc3339(row.created_at),
        "started_at": rfc3339(row.started_at),
        "finished_at": rfc3339(row.finished_at),
        "updated_at": rfc3339(row.updated_at),
        "expires_at": rfc3339(row.expires_at),
        "cancel_requested_at": rfc3339(row.cancel_requested_at),
        "removed_at": rfc3339(row.removed_at),
        "gone_at": rfc3339(row.gone_at),
        "attempt": job.attempt,
        "parent_id": job.parent,
        "child_ids": list(job.children),
        "tags": job.tags,
        "usage": job.usage,
        "error": row.error,
        "files": job.files,
        "deleted_at_provider": list(job.deleted),
        "left_behind": row.left_behind,
        "stalled": stalled(row, now),
        "shown_status": "removed" if row.removed_at is not None else shown_status(row, now),
        **_results_json(job),
    }


def _results_json(job: JobDetails) -> dict[str, Any]:
    """Return what was fetched of a job, and how long its provider keeps its results."""
    row = job.row
    counts = row.collected
    return {
        "fetched_at": rfc3339(row.fetched_at),
        "results_folder": job.results_folder,
        "results_expire_at": rfc3339(row.results_expire_at),
        "results": counts
        and {
            "ok": counts.ok,
            "error": counts.error,
            "cut_off": counts.cut_off,
            "missing": counts.missing,
        },
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
    }


def status_reason(job: JobDetails) -> str | None:
    """Return a person's reason for the status: of the force-fail, or of the cancel."""
    row = job.row
    if row.force_failed:
        return job.verdict_reason
    if row.status in {Status.CANCELLING, Status.CANCELLED}:
        return job.cancel_reason
    return None


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
