"""``jobdash config``: where the settings are, and what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from jobdash.cli.command import CommandGroup, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.config.accounts import LIMITS
from jobdash.config.settings import Config
from jobdash.domain.account import Account


@click.group("config", cls=CommandGroup)
def command() -> None:
    """Show where the config file is, or what the settings are."""


@command_with_context("path", "jobdash config path", '$EDITOR "$(jobdash config path)"')
@pass_context
def path(context: CliContext) -> None:
    """Print where the config file is looked for."""
    from jobdash.cli.output import document, print_text
    from jobdash.config.paths import default_config_path

    where = context.config_path or default_config_path()
    if context.as_json:
        document({"path": str(where), "exists": where.exists()})
    else:
        print_text(str(where))


@command_with_context("show", "jobdash config show", "jobdash config show --json")
@pass_context
def show(context: CliContext) -> None:
    """Print the settings as they are in force; keys are never printed."""
    from jobdash.cli.output import Style, document, print_error, print_text
    from jobdash.cli.tables import facts
    from jobdash.tui.settings_check import settings_warnings

    config = context.config
    more = list(settings_warnings(config))
    for warning in more:  # those that loading alone finds were printed then
        print_error(f"warning: {warning}", Style.WARN)
    if context.as_json:
        document(_as_json(config) | {"warnings": [*config.warnings, *more]})
        return
    where = [("Config", _where(config)), ("Store", str(config.database))]
    default = [("default_account", config.default_account)] if config.default_account else []
    facts(where + default + ([("read_only", "yes")] if config.read_only else []))
    for account in config.accounts:
        print_text("")
        print_text(f"[accounts.{account.name}]")
        facts(_account_facts(account))
    for name, found in _not_used(config):
        print_text("")
        print_text(f"[{name}]")
        facts(found)
    print_text("")
    print_text("[ui]")
    ui = config.ui
    facts(
        [
            ("theme", ui.theme or "jobdash"),
            ("columns", ", ".join(ui.columns) or "all that fit"),
            ("sort", ui.sort),
        ]
    )
    print_text("")
    print_text("[sync]")
    facts([("fastest", _span(config.sync.fastest_ms)), ("slowest", _span(config.sync.slowest_ms))])
    print_text("")
    print_text("[worker]")
    worker = config.worker
    facts(
        [
            ("concurrency", str(worker.concurrency)),
            ("engine", worker.engine),
            ("poll", f"{worker.poll_ms:,} ms"),
        ]
    )
    print_text("")
    print_text("[results]")
    facts([("folder", str(config.results_folder))])
    for model, price in (config.prices or {}).items():
        print_text("")
        print_text(f'[prices."{model}"]')
        facts([(name, str(value)) for name, value in asdict(price).items() if value is not None])
    if config.keys:
        print_text("")
        print_text("[keys]")
        facts(list(config.keys.items()))


def _not_used(config: Config) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the accounts and the tables with a mistake, with what is known of each."""
    for account in config.unusable:
        yield f"accounts.{account.name}", [("provider", account.provider), ("not used", account.reason)]
    for table in config.faulty:
        yield table.name, [("not used", table.reason)]


def _where(config: Config) -> str:
    return str(config.path) if config.exists else f"{config.path} (not there; the defaults hold)"


def _span(ms: int) -> str:
    from jobdash.domain.time import short_span

    return short_span(ms)


def _account_facts(account: Account) -> list[tuple[str, str]]:
    return [
        ("provider", account.provider),
        ("profile", account.profile or ""),
        ("key", f"{account.key_env} is {'set' if account.api_key else 'not set'}"),
        ("base_url", account.shown_url or ""),
        ("api_version", account.api_version or ""),
        ("organization", account.organization or ""),
        ("project", account.project or ""),
        ("headers", ", ".join(f"{header.name} ({header.shown})" for header in account.headers)),
        ("list_history", _span(account.list_history_ms)),
        ("auto_fetch", "yes" if account.auto_fetch else "no"),
        ("keep_input", "yes" if account.keep_input else "no"),
        ("completion_window", account.completion_window or ""),
        ("files_expire", "" if account.files_expire_ms is None else _span(account.files_expire_ms)),
        *((name, f"{limit:,}") for name in LIMITS if (limit := getattr(account, name)) is not None),
    ]


def _as_json(config: Config) -> dict[str, Any]:
    return {
        "path": str(config.path),
        "exists": config.exists,
        "database": str(config.database),
        "accounts": [
            {
                "name": account.name,
                "provider": account.provider,
                "api_key_env": account.key_env,
                "key_present": account.api_key is not None,
                "base_url": account.shown_url,
                "api_version": account.api_version,
                "organization": account.organization,
                "project": account.project,
                "headers": {header.name: header.shown for header in account.headers},
                "list_history_ms": account.list_history_ms,
                "auto_fetch": account.auto_fetch,
                "keep_input": account.keep_input,
                "profile": account.profile,
                "completion_window": account.completion_window,
                "files_expire_ms": account.files_expire_ms,
                **{name: getattr(account, name) for name in LIMITS},
            }
            for account in config.accounts
        ],
        "unusable_accounts": [account._asdict() for account in config.unusable],
        "unusable_tables": [table._asdict() for table in config.faulty],
        "ui": {
            "theme": config.ui.theme or None,
            "columns": list(config.ui.columns),
            "sort": config.ui.sort,
            "ascii": config.ui.ascii,
        },
        "sync": {"fastest_ms": config.sync.fastest_ms, "slowest_ms": config.sync.slowest_ms},
        "worker": config.worker._asdict(),
        "results": {"folder": str(config.results_folder)},
        "prices": {model: asdict(price) for model, price in (config.prices or {}).items()},
        "keys": dict(config.keys),
        "default_account": config.default_account,
        "read_only": config.read_only is not None,
        "warnings": list(config.warnings),
    }


command.add_command(path)
command.add_command(show)
