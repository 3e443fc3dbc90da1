"""The output of the doctor: one line a fact, with ✔ or ✖ before it, and what to do after it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jobdash.cli.context import FAILED, CliContext, no_account
from jobdash.cli.event_loop import run
from jobdash.cli.output import Style, document, print_text
from jobdash.cli.session import open_clients
from jobdash.config.paths import default_config_path
from jobdash.config.settings import Config
from jobdash.domain.account import OtherAccount
from jobdash.errors import ConfigError, StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.doctor import (
    AccountFacts,
    StoreFacts,
    account_facts,
    engine_problem,
    file_owners,
    server_warnings,
    store_facts,
    worker_lines,
)


def diagnose(context: CliContext) -> int:
    """Look at everything, whatever of it is broken; return the exit code of the worst."""
    config, config_error = _config(context)
    store, store_error = _store(context) if config else (None, None)
    accounts = _accounts(context) if config else []
    if context.as_json:
        document(_as_json(context, store, store_error, config_error, accounts))
    else:
        _print_store(store, store_error)
        if config is not None:
            _print_owners(config)
        _print_config(context, config, config_error)
        _print_accounts(accounts)
        _print_others(context.config.others if config else ())
        _print_scripts(store)
    code = _exit_code(store_error, config_error, accounts)
    return code or (FAILED if config is not None and config.faulty else 0)


def _config(context: CliContext) -> tuple[Config | None, ConfigError | None]:
    try:
        return context.config, None
    except ConfigError as error:
        return None, error


def _store(context: CliContext) -> tuple[StoreFacts | None, StoreError | None]:
    try:
        opened = context.opened
        return store_facts(context.config, opened.browser, opened.read_only), None
    except StoreError as error:
        return None, error


def _accounts(context: CliContext) -> list[AccountFacts]:
    async def work(_stop: CancelToken) -> list[AccountFacts]:
        async with open_clients(context) as accounts:
            return await account_facts(context.config, accounts)

    return run(work) if context.config.accounts or context.config.unusable else []


def _exit_code(
    store_error: StoreError | None, config_error: ConfigError | None, accounts: list[AccountFacts]
) -> int:
    if store_error is not None:
        return store_error.exit_code
    if config_error is not None:
        return config_error.exit_code
    failed = [facts for facts in accounts if facts.error is not None]
    if failed and len(failed) == len(accounts) and all(facts.rejected for facts in failed):
        return ConfigError.exit_code
    return FAILED if failed else 0


def _warnings(config: Config) -> list[str]:
    """Return what is odd in the settings, also what only the dashboard stumbles over."""
    from jobdash.tui.settings_check import settings_warnings

    return [*config.warnings, *map(str, config.faulty), *config.half_set, *settings_warnings(config)]


def _good(text: str) -> None:
    print_text(f"✔ {text}", Style.GOOD)


def _warn(text: str) -> None:
    print_text(f"! {text}", Style.WARN)


def _bad(text: str) -> None:
    print_text(f"✖ {text}", Style.BAD)


def _print_store(store: StoreFacts | None, error: StoreError | None) -> None:
    if error is not None:
        _bad(f"store: {error}")
    if store is None:
        return
    size = f"{store.size / 1_000_000:,.1f} MB"
    jobs = f"{store.jobs:,} jobs, {store.unfinished:,} unfinished"
    _good(f"store: {store.path} ({size}, schema {store.schema}, {jobs})")
    _print_server(store)
    if store.read_only is not None:
        _warn(f"store: it can only be read: {store.read_only}")
    if store.unknown_words:
        words = ", ".join(store.unknown_words)
        _warn(f"unknown status words, taken for unfinished: {words}. Please report them.")


def _print_server(store: StoreFacts) -> None:
    if (server := store.server) is None:
        return
    way = f"{'a connection on this computer, ' if server.is_local else ''}{server.tls or 'no TLS'}"
    clock = f"its clock {server.clock_offset_ms / 1000:+.1f} s"
    _good(f"server: PostgreSQL {server.version}, as {server.user}, {way}, {clock}")
    for warning in server_warnings(server):
        _warn(f"server: {warning}")


def _owners(config: Config) -> list[dict[str, str]]:
    found = file_owners(config.database)
    return [{"path": path, "owner": owner, "mode": mode} for path, owner, mode in found]


def _print_owners(config: Config) -> None:
    """Print who owns what: also of a store that is not used because another user owns it."""
    for path, owner, mode in file_owners(config.database):
        _good(f"owner: {path}: {owner}, mode {mode}")


def _print_config(context: CliContext, config: Config | None, error: ConfigError | None) -> None:
    if error is not None:
        _bad(f"config: {error}")
    if config is None:
        return
    if config.exists:
        _good(f"config: {config.path}")
    else:
        _good(f"config: no file at {config.path}; the defaults hold")
    for warning in _warnings(config):
        _warn(f"config: {warning}")
    if not config.accounts and not config.unusable:
        _warn(no_account(config, more=""))


def _print_accounts(accounts: list[AccountFacts]) -> None:
    for facts in accounts:
        key = f"{facts.key_env} is {'set' if facts.key_present else 'not set'}" if facts.key_env else ""
        profile = facts.profile and f"profile {facts.profile}"
        about = ", ".join(filter(None, (facts.provider, profile, facts.server, key)))
        if facts.error is None:
            _good(f"account {facts.name}: {about}, answers")
        else:
            _bad(f"account {facts.name}: {': '.join(filter(None, (about, facts.error)))}")
        for deviation in facts.deviations:
            _warn(f"account {facts.name}: {deviation}")
        if facts.duplicate_of is not None:
            _warn(f"account {facts.name}: has the same key as {facts.duplicate_of}, and is asked as that")


def _print_others(others: tuple[OtherAccount, ...]) -> None:
    """Print the accounts in the store whose key another person has."""
    for other in others:
        given_up = "" if other.is_alive else ", not polled for a week: who else sees its jobs has them"
        _good(f"account {other.name}: another person's, {other}{given_up}")


def _print_scripts(store: StoreFacts | None) -> None:
    """Print how many scripts write to the account that is always there."""
    if store is None:
        return
    _good(f"account local: your own scripts, {store.scripts:,} running now")
    for line in worker_lines(store):
        _good(f"job functions: {line}")
    if problem := engine_problem(store):
        _warn(f"job functions: {problem}")
    if store.stalled:
        jobs = "1 job has lost its" if store.stalled == 1 else f"{store.stalled:,} jobs have lost their"
        _warn(f"account local: {jobs} script; jobdash list -f 'account:local status:unfinished'")


def _as_json(
    context: CliContext,
    store: StoreFacts | None,
    store_error: StoreError | None,
    config_error: ConfigError | None,
    accounts: list[AccountFacts],
) -> dict[str, Any]:
    path = context.config_path or default_config_path()
    known = config_error is None
    return {
        "store": None if store is None else {**asdict(store), "owners": _owners(context.config)},
        "store_error": None if store_error is None else str(store_error),
        "config": {
            "path": str(path),
            "exists": path.exists(),
            "warnings": _warnings(context.config) if known else [],
            "error": None if config_error is None else str(config_error),
        },
        "accounts": [_account_json(facts) for facts in accounts],
        "others": [
            {"name": other.name, "person": other.person, "is_alive": other.is_alive}
            for other in (context.config.others if known else ())
        ],
    }


def _account_json(facts: AccountFacts) -> dict[str, Any]:
    """Return the facts of an account; fields of JSON keep their names."""
    names = {"duplicate_of": "twin_of"}
    return {names.get(name, name): value for name, value in asdict(facts).items()}
