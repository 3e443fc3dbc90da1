"""``jobdash store``: make a store on a server, upgrade, copy, check, and let other roles use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobdash.cli.command import CommandGroup, command_with_context, pass_context
from jobdash.cli.context import FAILED, CliContext

if TYPE_CHECKING:
    from jobdash.operations.store_admin import StoreChange, StoreLocation

_URL = "postgresql://db.example/jobs"


@click.group("store", cls=CommandGroup)
def command() -> None:
    """Make, upgrade, copy and check stores: files, and schemas of PostgreSQL."""


def _location(context: CliContext, named: str | None) -> StoreLocation:
    from jobdash.config.paths import store_location

    return context.config.database if named is None else store_location(named)


@command_with_context("init", f"jobdash store init {_URL}", "jobdash store init")
@click.argument("place", required=False)
@pass_context
def init(context: CliContext, place: str | None) -> int:
    """Make a store at PLACE, by default the configured one. An older one is upgraded.

    A store in PostgreSQL (14 or newer) is a schema, "jobdash" unless the address ends in ?schema=NAME. A
    password belongs into PGPASSWORD, ~/.pgpass or a service (PGSERVICE), never into the address.
    """
    from jobdash.operations.store_admin import make_store

    context.refuse_read_only()
    where = _location(context, place)
    return _report(context, where, make_store(where))


@command_with_context("upgrade", f"jobdash store upgrade {_URL}", "jobdash store upgrade")
@click.argument("place", required=False)
@pass_context
def upgrade(context: CliContext, place: str | None) -> int:
    """Upgrade a store that an older jobdash has made to the schema of this one.

    One in PostgreSQL by the role that made it, and when nobody works with the older jobdash any more: the
    commands and dashboards of that refuse the store from then on. Its scripts and workers run on.
    """
    from jobdash.operations.store_admin import upgrade_store

    context.refuse_read_only()
    where = _location(context, place)
    return _report(context, where, upgrade_store(where))


def _report(context: CliContext, where: StoreLocation, change: StoreChange) -> int:
    from jobdash.cli.output import document, print_text
    from jobdash.operations.store_admin import StoreChange

    if context.as_json:
        made, upgraded = change is StoreChange.MADE, change is StoreChange.UPGRADED
        document({"store": str(where), "made": made, "upgraded": upgraded})
    else:
        print_text(change.sentence(where))
    return 0


@command_with_context("copy", f"jobdash store copy ~/.local/share/jobdash/jobdash.db {_URL}")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@pass_context
def copy(context: CliContext, source: str, target: str) -> int:
    """Copy all jobs, items and events from one store into another, which is empty.

    In PostgreSQL it is made with "jobdash store init" before; a file must not be there yet. Refused while
    scripts write to FROM. Fetched results and copies of inputs stay where they are.
    """
    from jobdash.cli.output import document, print_text
    from jobdash.operations.store_admin import copy_store

    context.refuse_read_only()
    to = _location(context, target)
    jobs = copy_store(_location(context, source), to)
    if context.as_json:
        document({"store": str(to), "jobs": jobs})
    else:
        print_text(f"{jobs:,} jobs are in {to} now")
    return 0


@command_with_context("check", "jobdash store check", "jobdash store check --json")
@click.argument("place", required=False)
@pass_context
def check(context: CliContext, place: str | None) -> int:
    """Read all of a store, and compare what it counts with what it has.

    Exit code 1 when something is wrong.
    """
    from jobdash.cli.output import Style, document, print_text
    from jobdash.operations.store_admin import check_store

    where = _location(context, place)
    found = check_store(where)
    if context.as_json:
        document({"store": str(where), "wrong": found})
    else:
        for sentence in found:
            print_text(f"✖ {sentence}", Style.BAD)
        if not found:
            print_text(f"✔ {where} is as it should be", Style.GOOD)
    return FAILED if found else 0


@command_with_context("grant", "jobdash store grant bob", "jobdash store grant viewers --read-only")
@click.argument("role")
@click.option("--read-only", is_flag=True, help="It may look, and change nothing.")
@pass_context
def grant(context: CliContext, role: str, read_only: bool) -> int:
    """Let a database role use the configured store, which has to be in PostgreSQL.

    It may do what dashboards, commands, scripts and workers do; only the role that made the store upgrades
    it. The tables of an engine are made by the first worker: grant again behind that, for the role's workers.
    """
    from jobdash.cli.output import document, print_error, print_text
    from jobdash.operations.store_admin import grant_reading, grant_writing

    context.refuse_read_only()
    where, workers = _location(context, None), False
    if read_only:
        grant_reading(where, role)
    else:
        workers = grant_writing(where, role)
    if context.as_json:
        document({"store": str(where), "role": role, "read_only": read_only, "workers": workers})
    else:
        print_text(f"{role} may {'read' if read_only else 'read and write'} {where}")
        if not (read_only or workers):
            print_error("no worker has run here yet: start one of yours, and grant again for the role's own")
    return 0


for _each in (init, upgrade, copy, check, grant):
    command.add_command(_each)
