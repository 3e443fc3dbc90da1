"""``jobdash show``: everything known of one job."""

from __future__ import annotations

from typing import Any

import click

from jobdash.cli.command import JobWord, account_option, face_command, pass_face
from jobdash.cli.face import Face


@face_command(
    "show", "jobdash show k3f9", "jobdash show batch_6a1f0c --events", "jobdash show k3f9 --sync --json"
)
@click.argument("word", metavar="JOB", type=JobWord())
@account_option()
@click.option("--events", is_flag=True, help="What was done to it, too.")
@click.option("--sync", "sync_first", is_flag=True, help="Ask its account first.")
@pass_face
def command(face: Face, word: str, accounts: tuple[str, ...], events: bool, sync_first: bool) -> int:
    """Show everything known of a job, removed ones too."""
    from jobdash.cli.selecting import select_one

    face.reading = not sync_first
    row = select_one(face, word, accounts, removed=True)
    code = 0
    if sync_first:
        from jobdash.cli.syncing import sync_now

        known = face.config.account(row.account) is not None
        code = sync_now(face, [row.account]) if known else 0
    _show(face, row.id, events)
    return code


def _show(face: Face, job_id: int, events: bool) -> None:
    from jobdash.cli.event_lines import event_json, print_events
    from jobdash.cli.job_facts import print_job
    from jobdash.cli.job_json import job_json
    from jobdash.cli.out import document, tell
    from jobdash.domain.clock import system_clock

    browser, now = face.opened.browser, system_clock()
    job = browser.job(job_id)
    assert job is not None, "jobs are never deleted"
    log = browser.events(job_id) if events else []
    if not face.as_json:
        print_job(job, now)
        print_events(log, heading=True)
        if events and not log:
            tell("no events")
        return
    shape: dict[str, Any] = job_json(job, now) | {"errors": list(job.errors)}
    if events:
        shape["events"] = [event_json(event) for event in log]
    document(shape)
