"""The declaration of commands: their options, those that several share, their examples."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobdash.cli.context import CliContext
from jobdash.domain.text import clean, encodable
from jobdash.domain.time import parse_age, parse_span

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

pass_context = click.make_pass_decorator(CliContext)
_SENTENCE = 200
"""The most characters of the first sentence of a command's help."""
_MOST_COMPLETIONS = 50
_WHOLE_ID = 8
"""Characters of a job's id."""


def shared_options() -> list[click.Parameter]:
    """Return the options that the group and every command take; either place is as good."""
    return [
        _shared("--json", "as_json", is_flag=True, help="Print one JSON document."),
        _shared("--db", "database", metavar="PATH", help="The store to use."),
        _shared("--config", "config_path", metavar="PATH", help="The config file to use."),
        _shared("--debug", "debug", is_flag=True, help="Write the traceback of a crash to a log file."),
    ]


def _shared(flag: str, name: str, **settings: Any) -> click.Option:
    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        context = ctx.find_root().ensure_object(CliContext)
        if value is None or value is False:
            return
        if value == "":
            raise click.BadParameter("is empty")
        setattr(context, name, Path(value) if name == "config_path" else value)

    return click.Option([flag, name], expose_value=False, callback=remember, **settings)


def help_option() -> click.Option:
    """Return ``--help``; click's own looks for a translation of its text, which takes 1.4 ms of a command."""
    return click.Option(
        ["-h", "--help"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_help,
        help="Show this message and exit.",
    )


def _show_help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class CommandGroup(click.Group):
    """A group whose help has the first sentence of each command, whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sentences."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, found.get_short_help_str(_SENTENCE)) for name, found in commands if found is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class ContextCommand(click.Command):
    """A command with the shared options, and examples under its help."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **settings: Any) -> None:
        settings["params"] = [*(settings.get("params") or ()), *shared_options(), help_option()]
        super().__init__(*args, **settings)
        self._examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give an option that stands without its ``=value`` the one it means."""
        meant = {param.bare: param.opts[0] for param in self.params if isinstance(param, OptionalValue)}
        literal = args.index("--") if "--" in args else len(args)
        for value, flag in meant.items():
            _refuse_loose_value(args[:literal], flag, ctx)
            args[:literal] = [f"{flag}={value}" if arg == flag else arg for arg in args[:literal]]
        rest = super().parse_args(ctx, args)
        for param in self.params:
            _refuse_half_characters(param, ctx)
        return rest

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        if not self._examples:
            return
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def _refuse_loose_value(args: list[str], flag: str, ctx: click.Context) -> None:
    """Raise UsageError for ``--wait 90s``, which would be taken for a JOB; a whole id never looks like it."""
    for arg, value in pairwise(args):
        if arg == flag and len(value) < _WHOLE_ID and _is_span(value):
            raise click.UsageError(f"{flag} {value}: did you mean {flag}={value}?", ctx)


def _is_span(text: str) -> bool:
    try:
        parse_span(text)
    except ValueError:
        return False
    return True


def _refuse_half_characters(param: click.Parameter, ctx: click.Context) -> None:
    """Raise BadParameter for bytes that are no text; the name of a file may be made of any."""
    value = ctx.params.get(param.name or "")
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and encodable(text) != text:
            raise click.BadParameter(
                f"{clean(text, 80)!r} is not text: it has bytes that are not UTF-8", ctx, param
            )


class OptionalValue(click.Option):
    """``--wait`` or ``--wait=90s``: a value only ever follows a ``=``, so that no JOB is taken for it."""

    def __init__(self, *args: Any, bare: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.bare = bare

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return how it is typed, ``--wait[=SPAN]``, and its help: no blank, and it goes without a value."""
        record = super().get_help_record(ctx)
        return record and (f"{self.opts[0]}[={self.make_metavar(ctx)}]", record[1])


def command_with_context(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a command; its help is the function's docstring."""
    return click.command(
        name, cls=ContextCommand, examples=examples, context_settings={"max_content_width": 100}
    )


class DurationParam(click.ParamType[int]):
    """A span of time: ``90`` or ``90s``, ``5m``, ``2h``; milliseconds."""

    name = "span"
    parse = staticmethod(parse_span)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        try:
            return value if isinstance(value, int) else self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AgeParam(DurationParam):
    """An age from which on something is deleted, with its unit; milliseconds."""

    parse = staticmethod(parse_age)


class CountParam(click.IntRange):
    """How many lines are printed at most; whatever is more than can be counted is all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        return min(super().convert(value, param, ctx), sys.maxsize)


class JobParam(click.ParamType[str]):
    """A word that names a job; completed from the ids in the store."""

    name = "job"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the ids that begin so, with the names of their jobs; never makes a store."""
        from click.shell_completion import CompletionItem

        from jobdash.errors import JobdashError
        from jobdash.operations.job_lookup import Browser, Scope, Sort

        try:
            context = ctx.find_root().ensure_object(CliContext)
            browser = Browser(context.config.database)
            newest = browser.page(Scope(), Sort(), None, _MOST_COMPLETIONS)
            rows = browser.by_public(incomplete)[:_MOST_COMPLETIONS] if incomplete else newest
        except JobdashError:
            return []
        return [CompletionItem(row.public_id, help=clean(row.name, 60)) for row in rows]


class AccountParam(click.ParamType[str]):
    """The name of an account."""

    name = "account"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the configured accounts."""
        from click.shell_completion import CompletionItem

        from jobdash.errors import JobdashError

        try:
            names = ctx.find_root().ensure_object(CliContext).config.account_names
        except JobdashError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class SortOrderParam(click.ParamType[str]):
    """An order of jobs: a column, with ``-`` in front for the other direction."""

    name = "order"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the orders there are, in both directions."""
        from click.shell_completion import CompletionItem

        from jobdash.operations.job_lookup import SORT_ORDERS

        words = (f"{sign}{order}" for sign in ("", "-") for order in SORT_ORDERS)
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class GroupingParam(click.ParamType[tuple[str, str]]):
    """What costs are summed by: ``account`` …, or ``tag:KEY``; the word, and the key where there is one."""

    name = "grouping"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read it."""
        from jobdash.domain.cost import Grouping

        if isinstance(value, tuple):
            return value
        word, colon, tag = value.partition(":")
        if word not in set(Grouping) or (colon and (word != Grouping.TAG or not tag)):
            self.fail(f"{value!r}: there are {', '.join(Grouping)}, and tag:KEY", param, ctx)
        return word, tag

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the words there are."""
        from click.shell_completion import CompletionItem

        from jobdash.domain.cost import Grouping

        return [CompletionItem(str(word)) for word in Grouping if word.startswith(incomplete)]


def account_option(command: F) -> F:
    """Add ``--account``."""
    add: Callable[[F], F] = click.option(
        "--account",
        "accounts",
        multiple=True,
        type=AccountParam(),
        metavar="NAME",
        help="Only this account. May be repeated.",
    )
    return add(command)


def jobs_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add ``JOB…``, ``-f`` and ``--account``, which the command receives as its ``selector``."""

    @wraps(command)
    def with_selector(
        *args: Any, words: tuple[str, ...], expr: str | None, accounts: tuple[str, ...], **more: Any
    ) -> int:
        from jobdash.cli.selection import JobSelector

        return command(*args, selector=JobSelector(words, expr, accounts), **more)

    function = account_option(with_selector)
    function = click.option("-f", "--filter", "expr", metavar="EXPR", help="The jobs that pass this filter.")(
        function
    )
    return click.argument("words", nargs=-1, metavar="[JOB]...", type=JobParam())(function)


def action_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add ``JOB…``, ``-f``, ``--account``, ``--dry-run`` and ``--yes``."""
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
    function = click.option("-n", "--dry-run", is_flag=True, help="Print the plan, change nothing.")(function)
    return jobs_options(function)


def wait_option(until: str, bare: str) -> Callable[[F], F]:
    """Add ``--wait[=S]``; ``bare`` is what it means without a value."""
    return click.option(
        "--wait",
        "wait_ms",
        cls=OptionalValue,
        bare=bare,
        type=DurationParam(),
        metavar="SPAN",
        help=f"Wait {until}, at most so long (--wait alone: {bare}).",
    )
