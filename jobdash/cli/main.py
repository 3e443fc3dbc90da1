"""The group of all commands, and how what went wrong becomes a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from jobdash.cli.command import CommandGroup, help_option, shared_options
from jobdash.cli.context import FAILED, INTERRUPTED, OUTPUT_CLOSED, CliContext
from jobdash.cli.error_output import show_error
from jobdash.cli.output import Output, Style, prepared, print_error, print_text
from jobdash.cli.require_terminal import require_terminal
from jobdash.config.paths import data_folder
from jobdash.domain.text import redact
from jobdash.errors import JobdashError, UsageError

COMMANDS = {
    "list": "list_jobs",
    "show": "show",
    "sync": "sync",
    "submit": "submit",
    "cancel": "cancel",
    "force-fail": "force_fail",
    "retry": "retry",
    "adopt": "adopt",
    "remove": "remove",
    "fetch": "fetch",
    "refresh-errors": "refresh_errors",
    "wait": "wait",
    "watch": "watch",
    "notify": "notify",
    "storage": "storage",
    "orphans": "orphans",
    "prune": "prune",
    "undo": "undo",
    "log": "log",
    "cost": "cost",
    "doctor": "doctor",
    "store": "store",
    "config": "config",
    "run": "run",
    "worker": "worker",
    "demo": "demo",
}
"""By name, the module in `jobdash.cli.commands` whose ``command`` it is."""


class OutputClosed(Exception):
    """The reader of our output is gone; click would end the program for that in its own way."""


class LazyGroup(CommandGroup):
    """Loads a command when it is called (or when help wants its line)."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise OutputClosed from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"jobdash.cli.commands.{COMMANDS[cmd_name]}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest what a mistyped command may have meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx) from None


_EPILOG = """\
Exit codes: 0 done, or nothing to do · 1 some job failed or was refused · 2 wrong usage · 3 no such job ·
4 not confirmed · 5 configuration or credentials · 6 the store cannot be used · 7 wait ran out of time ·
130 interrupted

\b
Completion:
  bash  eval "$(_JOBDASH_COMPLETE=bash_source jobdash)"
  zsh   eval "$(_JOBDASH_COMPLETE=zsh_source jobdash)"
  fish  _JOBDASH_COMPLETE=fish_source jobdash | source
"""


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from jobdash import __version__

        print_text(f"jobdash {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    params=[
        *shared_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version.",
        ),
        help_option(),
    ],
)
@click.pass_context
def group(ctx: click.Context) -> int:
    """One live table of every batch job you have in flight, and the same actions as commands.

    Without a command: the dashboard.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    return dashboard(ctx.find_root().ensure_object(CliContext))


def dashboard(context: CliContext) -> int:
    """Open the dashboard; return its exit code."""
    if context.as_json:
        raise UsageError("the dashboard prints no JSON; jobdash list --json does")
    require_terminal("the dashboard wants a terminal", "jobdash list prints the jobs")
    from jobdash.tui.run import run_dashboard

    context.may_make = True
    context.refuse_missing()
    return run_dashboard(context.config, demo=False)


def run(args: Sequence[str]) -> int:
    """Run one command line; return its exit code. No traceback leaves this function."""
    with prepared() as output:
        if output is None:
            print_error(
                "jobdash: standard output is closed: nothing can be printed, so nothing was done", Style.BAD
            )
            return FAILED
        code = _run(args, output)
        if output.error is None:
            return code
        output.forget()
        if isinstance(output.error, BrokenPipeError):
            return OUTPUT_CLOSED
        print_error(f"jobdash: standard output cannot be written: {output.error.strerror}", Style.BAD)
        return code or FAILED


def _run(args: Sequence[str], output: Output) -> int:
    context = CliContext()
    try:
        return _invoke(list(args), context)
    except click.ClickException as error:
        _show_usage_error(error)
        return error.exit_code
    except JobdashError as error:
        show_error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_error("interrupted")
        return INTERRUPTED
    except OutputClosed:
        return OUTPUT_CLOSED
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a sentence
        if output.error is None:
            _show_crash(error, context)
        return FAILED


def _invoke(args: list[str], context: CliContext) -> int:
    code: Any = group.main(args, prog_name="jobdash", standalone_mode=False, obj=context)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _show_usage_error(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        for line in error.format_message().splitlines():
            print_error(line)
        return
    print_error(f"jobdash: {error.format_message()}", Style.BAD)
    context = getattr(error, "ctx", None)
    if context is not None:
        print_error(f"Try: {context.command_path} --help")


def _show_crash(error: Exception, context: CliContext) -> None:
    print_error(f"jobdash: something went wrong that should not: {type(error).__name__}: {error}", Style.BAD)
    if not context.debug:
        print_error("Run it again with --debug to write the details to a log file.")
        return

    print_error(f"The details are in {write_crash(error, context)}")


CRASH_LOG = "debug.log"


def write_crash(error: BaseException, context: CliContext) -> Path:
    """Append a traceback to the log beside the store; return the log's path."""
    import traceback

    path = _data_folder(context) / CRASH_LOG
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "".join(traceback.format_exception(error))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n{redact(text)}\n")
    return path


def _data_folder(context: CliContext) -> Path:
    try:
        return context.config.store_path.parent
    except JobdashError:
        return data_folder()
