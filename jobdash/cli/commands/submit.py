"""``jobdash submit``: a JSONL file as a new batch."""

from __future__ import annotations

from pathlib import Path

import click

from jobdash.cli.command import AccountName, face_command, pass_face
from jobdash.cli.face import Face
from jobdash.domain.provider import LOCAL
from jobdash.errors import UsageError


@face_command(
    "submit",
    "jobdash submit nightly.jsonl --name nightly-eval --tag team=search",
    "jobdash submit questions.jsonl --account gemini --model gemini-x-flash --dry-run",
)
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--account",
    type=AccountName(),
    metavar="NAME",
    help="The account; else default_account of the config, or the only one.",
)
@click.option("--name", help="What it is called; else the file's name.")
@click.option("--model", help="Gemini: the model. (OpenAI's lines name it themselves.)")
@click.option("--endpoint", help="OpenAI: the endpoint; else read from the lines.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("-n", "--dry-run", is_flag=True, help="Check the file, send nothing.")
@pass_face
def command(
    face: Face,
    file: Path,
    account: str | None,
    name: str | None,
    model: str | None,
    endpoint: str | None,
    tags: tuple[str, ...],
    dry_run: bool,
) -> int:
    """Check a JSONL file, upload it, and create a batch from it.

    The file is checked line by line before anything is sent. A batch is created once and never sent again:
    after a lost answer the next syncs find it by a key it carries.
    """
    from jobdash.cli.submitting import submit_file
    from jobdash.operations.submit import order

    account = account or face.config.default_account
    chosen = face.wanted_accounts((account,) if account else ())
    if len(chosen) != 1:
        names = ", ".join(each.name for each in chosen or face.wanted_accounts(()))
        told = "" if chosen else f"{LOCAL} is where the jobs of your own scripts stand; "
        raise UsageError(f"{told}--account has to say which: {names}; or default_account in the config")
    wanted = order(file, chosen[0], name=name, model=model, endpoint=endpoint, tags=read_tags(tags))
    return submit_file(face, wanted, dry_run=dry_run)


def read_tags(words: tuple[str, ...]) -> dict[str, str]:
    """Read ``key=value`` words; UsageError for any other."""
    tags: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise UsageError(f"--tag {word!r} has to look like key=value")
        tags[key] = value
    return tags
