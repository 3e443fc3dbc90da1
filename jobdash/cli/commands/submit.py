"""``jobdash submit``: JSONL files as new batches."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from jobdash.cli.command import AccountParam, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.domain.account import Account
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.tags import parse_tags
from jobdash.errors import UsageError


@command_with_context(
    "submit",
    "jobdash submit nightly.jsonl --name nightly-eval --tag team=search",
    "jobdash submit questions.jsonl --account work --dry-run",
    "jobdash submit shards/*.jsonl --tag run=42",
    "python make_requests.py | jobdash submit - --name nightly-eval",
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(path_type=Path, readable=False, allow_dash=True),
)
@click.option(
    "--account",
    type=AccountParam(),
    metavar="NAME",
    help="The account; else default_account of the config, or the only one.",
)
@click.option("--name", help="What it is called; else the file's name. For one file.")
@click.option("--model", help="The model, where the lines do not name it.")
@click.option("--endpoint", help="The endpoint; else read from the lines.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("--split", is_flag=True, help="Cut a file that is over a limit into parts, a batch each.")
@click.option("--no-keep-input", is_flag=True, help="Keep no copy of the file beside the store.")
@click.option("-n", "--dry-run", is_flag=True, help="Check the file, send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, be the same file sent before or not.")
@pass_context
def command(
    context: CliContext,
    files: tuple[Path, ...],
    account: str | None,
    name: str | None,
    model: str | None,
    endpoint: str | None,
    tags: tuple[str, ...],
    split: bool,
    no_keep_input: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Check JSONL files (- reads standard input), upload them, and create a batch from each.

    A file is checked line by line before anything is sent, and up to 50 wrong lines are named at once.
    Of several files each fails by itself, and the exit code is 1 if one did.
    It asks first when the identical file was sent before, or when its endpoint is unknown. A batch is
    created once and never sent again: after a lost answer the next syncs find it by a key it carries.
    A copy of the file is kept for you alone beside the store, with which results are joined later.
    With --split, a file over the limits of its provider or account becomes several batches, one family.
    Where the account has an enqueued_limit, what there is no room for waits here, and is sent by what
    polls the account next: the dashboard, wait, watch, sync.
    Where embeddings have a call of their own, lines that ask for them (with "content") go there.
    """
    from jobdash.cli.error_output import show_error
    from jobdash.cli.submit_output import check_files, on_disk, submit_files
    from jobdash.operations.submission.request import order

    context.may_make = True
    chosen = chosen_account(context, account)
    read = _read_tags(tags)
    _check_several(files, name)
    keep = not no_keep_input
    check = partial(order, account=chosen, name=name, model=model, endpoint=endpoint, tags=read, split=split)
    with ExitStack() as copies:
        found = [copies.enter_context(on_disk(file)) for file in files]
        reports = check_files(
            found, lambda path, called: check(path, file_name=called, keep_input=keep), show_error
        )
        return submit_files(context, reports, dry_run=dry_run, yes=yes)


def chosen_account(context: CliContext, account: str | None) -> Account:
    """Return the account that is named, or meant without a name; UsageError where that is not clear."""
    account = account or context.config.default_account
    chosen = context.wanted_accounts((account,) if account else ())
    # One that cannot be used now may be the one that is meant.
    unusable = [] if account else [each.name for each in context.config.unusable]
    if len(chosen) + len(unusable) != 1:
        names = ", ".join(each.name for each in chosen or context.wanted_accounts(()))
        if unusable:
            names += f" ({', '.join(unusable)} {'is' if len(unusable) == 1 else 'are'} not used now)"
        hint = "" if chosen else f"{LOCAL} is where the jobs of your own scripts stand; "
        raise UsageError(f"{hint}--account has to say which: {names}; or default_account in the config")
    return chosen[0]


def _check_several(files: tuple[Path, ...], name: str | None) -> None:
    """Raise UsageError for several files whose jobs would have one name."""
    if len(files) > 1 and name is not None:
        raise UsageError("--name is for one file; several are called after their files")
    if sum(str(file) == "-" for file in files) > 1:
        raise UsageError("- reads standard input, which is there once")


def _read_tags(words: tuple[str, ...]) -> dict[str, str]:
    try:
        return parse_tags(words)
    except ValueError as error:
        raise UsageError(f"--tag {error}") from None
