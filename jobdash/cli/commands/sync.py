"""``jobdash sync``: ask every account once, and say what changed."""

from __future__ import annotations

import click

from jobdash.cli.command import account_option, face_command, pass_face
from jobdash.cli.face import Face


@face_command("sync", "jobdash sync", "jobdash sync --account work --full")
@account_option()
@click.option("--full", is_flag=True, help="Read whole lists, whatever is known already.")
@pass_face
def command(face: Face, accounts: tuple[str, ...], full: bool) -> int:
    """Ask every account once what it has.

    The first sync of an account reads 30 days and everything unfinished; --full reads all.
    """
    from jobdash.cli.out import tell
    from jobdash.cli.syncing import ask, failures, show_reports
    from jobdash.domain.provider import LOCAL

    wanted = face.wanted_accounts(accounts)
    if LOCAL in accounts:
        tell("local: scripts write to the store themselves, nobody has to be asked")
    names = [account.name for account in wanted] if accounts else None
    reports = ask(face, names, full=full) if wanted else []
    show_reports(face, reports)
    return failures(face, reports)
