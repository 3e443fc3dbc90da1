"""``jobdash submit``: a JSONL file as a new batch."""

from __future__ import annotations

from pathlib import Path

import click

from jobdash.cli.command import AccountParam, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.domain.provider_info import LOCAL
from jobdash.errors import UsageError


@command_with_context(
    "submit",
    "jobdash submit nightly.jsonl --name nightly-eval --tag team=search",
    "jobdash submit questions.jsonl --account work --dry-run",
    "python make_requests.py | jobdash submit - --name nightly-eval",
)
@click.argument("file", type=click.Path(path_type=Path, readable=False, allow_dash=True))
@click.option(
    "--account",
    type=AccountParam(),
    metavar="NAME",
    help="The account; else default_account of the config, or the only one.",
)
@click.option("--name", help="What it is called; else the file's name.")
@click.option("--model", help="The model, where the lines do not name it.")
@click.option("--endpoint", help="The endpoint; else read from the lines.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("--no-keep-input", is_flag=True, help="Keep no copy of the file beside the store.")
@click.option("-n", "--dry-run", is_flag=True, help="Check the file, send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, be the same file sent before or not.")
@pass_context
def command(
    context: CliContext,
    file: Path,
    account: str | None,
    name: str | None,
    model: str | None,
    endpoint: str | None,
    tags: tuple[str, ...],
    no_keep_input: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Check a JSONL file (- reads it from standard input), upload it, and create a batch from it.

    The file is checked line by line before anything is sent, and up to 50 wrong lines are named at once.
    It asks first when the identical file was sent before, or when its endpoint is unknown. A batch is
    created once and never sent again: after a lost answer the next syncs find it by a key it carries.
    A copy of the file is kept for you alone beside the store, with which results are joined later.
    Where embeddings have a call of their own, lines that ask for them (with "content") go there.
    """
    from jobdash.cli.submission import on_disk, submit_file
    from jobdash.operations.submit import order

    account = account or context.config.default_account
    chosen = context.wanted_accounts((account,) if account else ())
    # One that cannot be used now may be the one that is meant.
    unusable = [] if account else [each.name for each in context.config.unusable]
    if len(chosen) + len(unusable) != 1:
        names = ", ".join([*(each.name for each in chosen or context.wanted_accounts(())), *unusable])
        hint = "" if chosen else f"{LOCAL} is where the jobs of your own scripts stand; "
        raise UsageError(f"{hint}--account has to say which: {names}; or default_account in the config")
    read = read_tags(tags)
    with on_disk(file) as (path, called):
        wanted = order(
            path,
            chosen[0],
            name=name,
            model=model,
            endpoint=endpoint,
            tags=read,
            file_name=called,
            keep_input=not no_keep_input,
        )
        return submit_file(context, wanted, dry_run=dry_run, yes=yes)


def read_tags(words: tuple[str, ...]) -> dict[str, str]:
    """Read ``key=value`` words; UsageError for any other."""
    tags: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise UsageError(f"--tag {word!r} has to look like key=value")
        tags[key] = value
    return tags
