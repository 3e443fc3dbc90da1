"""``jobdash run``: submit items to a job function."""

from __future__ import annotations

from typing import BinaryIO

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context(
    "run", "jobdash run thumbs:thumb paths.jsonl", "ls *.png | jq -R . | jobdash run thumbs:thumb -"
)
@click.argument("function", metavar="MODULE:FUNCTION")
@click.argument("items", type=click.File("rb"), metavar="ITEMS.jsonl")
@click.option("--name", metavar="TEXT", help="What the job is called; else as the function is.")
@click.option(
    "--parts", type=click.IntRange(1, 10_000), metavar="N", help="How many pieces are done side by side."
)
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag. May be repeated.")
@pass_context
def command(
    context: CliContext,
    function: str,
    items: BinaryIO,
    name: str | None,
    parts: int | None,
    tags: tuple[str, ...],
) -> int:
    """Make a job of a function over items, one JSON value a line (- is standard input).

    Workers run it: jobdash worker MODULE.
    """
    from jobdash.cli.output import document, print_text
    from jobdash.domain.tags import parse_tags
    from jobdash.domain.text import clean, quantity
    from jobdash.errors import UsageError
    from jobdash.operations.scripts.functions import submit_lines

    try:
        read = parse_tags(tags)
    except ValueError as error:
        raise UsageError(f"--tag {error}") from None
    context.refuse_read_only()
    context.may_make = True
    context.refuse_missing()
    sent = submit_lines(context.config.database, function, items, name=name, parts=parts, tags=read)
    if context.as_json:
        document({"id": sent.public_id, "name": sent.name, "items": sent.items, "parts": sent.parts})
        return 0
    size = f"{quantity(sent.items, 'item')} in {quantity(sent.parts, 'part')}"
    print_text(f"{sent.public_id}  {clean(sent.name, 80)}: {size}; jobdash worker {sent.module} runs it")
    return 0
