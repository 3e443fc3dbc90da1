"""``jobdash log``: who did what, when, with which result."""

from __future__ import annotations

import click

from jobdash.cli.command import JobWord, face_command, pass_face
from jobdash.cli.face import Face

DEFAULT_LIMIT = 50


@face_command("log", "jobdash log", "jobdash log k3f9", "jobdash log --limit 500 --json")
@click.argument("word", metavar="[JOB]", required=False, type=JobWord())
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="The newest so many.",
)
@pass_face
def command(face: Face, word: str | None, limit: int) -> None:
    """Show what was done: of one job, or of all."""
    from jobdash.cli.event_lines import event_json, print_events
    from jobdash.cli.naming import named_job
    from jobdash.cli.out import document, tell

    face.reading = True
    browser = face.opened.browser
    job_id = None if word is None else named_job(browser, word).id
    events = browser.events(job_id, limit)
    if face.as_json:
        document({"events": [event_json(event) for event in events]})
    elif events:
        print_events(events)
    else:
        tell("nothing was done yet")
