"""What is kept, orphaned files, and pruning: tables and JSON of commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobdash.cli.clock import store_time
from jobdash.cli.confirm import ask
from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run, run_stoppable
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.session import open_session, situation
from jobdash.cli.sync_output import failure_words
from jobdash.cli.tables import TableCell, TableColumn, table
from jobdash.config.retention import Retention
from jobdash.domain.plan import ActionResult, ActionSummary, Plan
from jobdash.domain.remote_job import RemoteFile
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import rfc3339, short_span
from jobdash.errors import ConfigError, UsageError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.execution import execute
from jobdash.operations.polling.sync_accounts import rejected
from jobdash.operations.polling.sync_report import SyncReport
from jobdash.operations.retention import RetentionRule, plan_rule, rules
from jobdash.operations.storage import (
    FETCHED,
    AccountFiles,
    DeletedFiles,
    LocalFolder,
    account_files,
    delete_files,
    local_folders,
)

_UNITS = (("kB", 10**3), ("MB", 10**6), ("GB", 10**9))
_MOST = 50
"""Files that are printed one by one; ``--json`` has all."""


def show_storage(context: CliContext, names: tuple[str, ...], *, here: bool) -> int:
    """Print what is kept; return the exit code."""
    places = local_folders(context.config.store_path, context.config.results_folder, context.opened.browser)
    found = [] if here else _listed(context, names)
    if context.as_json:
        document(
            {"accounts": [_account_json(each) for each in found], "here": list(map(_place_json, places))}
        )
        return _failed(found)
    columns = (
        TableColumn("WHERE"),
        TableColumn("WHAT"),
        TableColumn("FILES", right=True),
        TableColumn("SIZE", right=True),
        TableColumn("OLDEST", right=True),
    )
    rows = [("here", _place_words(each), each.files, each.bytes, "") for each in places]
    for each in found:
        kinds = (("of known jobs", each.known), ("of unknown batches", each.unknown), ("other", each.others))
        rows += [
            (each.account.name, what, len(files), _bytes(files), _oldest(files))
            for what, files in kinds
            if files
        ]
    if rows:
        table(columns, [_cells(row) for row in rows])
    else:
        print_error("nothing is kept")
    return _print_failures(found)


def _place_words(place: LocalFolder) -> str:
    return f"{place.name} in {clean(str(place.path), 120)}" if place.name == FETCHED else place.name


def _cells(row: tuple[str, str, int, int, str]) -> list[TableCell]:
    where, what, files, size, oldest = row
    return [TableCell(text) for text in (where, what, f"{files:,}", size_words(size), oldest)]


def size_words(size: int) -> str:
    """Return bytes as people read them: ``45.2 MB``."""
    if size < 1000:
        return f"{size} B"
    unit = next((unit for unit in _UNITS if size < 1000 * unit[1]), _UNITS[-1])
    return f"{size / unit[1]:,.1f} {unit[0]}"


def _listed(context: CliContext, names: tuple[str, ...], *, synced: bool = False) -> list[AccountFiles]:
    """List the files of the accounts that were named, or of all.

    With ``synced``, each is asked for its batches first: files of a batch made elsewhere may be in use.
    """
    if not context.config.accounts and not names:
        return []
    wanted = context.wanted_accounts(names)
    only = {account.name for account in wanted} if names else None

    async def work(stop: CancelToken) -> list[AccountFiles]:
        async with open_session(context, stop) as session:
            reports = await session.syncs.run(only) if synced else []
            failed = {each.account: each for each in reports if each.error is not None}
            found = await account_files(only, session.accounts, wanted, context.opened.browser)
            return [_checked(context, each, failed.get(each.account.name)) for each in found]

    return run(work)


def _checked(context: CliContext, found: AccountFiles, failed: SyncReport | None) -> AccountFiles:
    """Return the files of an account; none where it could not tell its batches."""
    if failed is None:
        return found
    return AccountFiles(found.account, error=failure_words(context, failed), rejected=rejected(failed))


def _failed(found: Sequence[AccountFiles]) -> int:
    """Return the exit code: 5 where all accounts failed for their credentials."""
    if found and all(each.rejected for each in found):
        return ConfigError.exit_code
    return FAILED if any(each.error for each in found) else 0


def _print_failures(found: Sequence[AccountFiles]) -> int:
    for each in found:
        if each.error:
            print_error(f"{each.account.name}: {each.error}", Style.BAD)
        elif each.note:
            print_error(f"{each.account.name}: {each.note}")
    return _failed(found)


def _bytes(files: Sequence[RemoteFile]) -> int:
    return sum(file.size or 0 for file in files)


def _oldest(files: Sequence[RemoteFile]) -> str:
    made = [file.created_at for file in files if file.created_at is not None]
    return short_span(store_time() - min(made)) if made else ""


def show_orphans(
    context: CliContext, names: tuple[str, ...], older_ms: int, *, remove: bool, dry_run: bool, yes: bool
) -> int:
    """Print the orphaned files of accounts, or delete them; return the exit code."""
    context.wanted_accounts(names)
    context.writable()
    found, now = _listed(context, names, synced=True), store_time()
    orphans = {each.account.name: each.orphans(now, older_ms) for each in found}
    number = sum(map(len, orphans.values()))
    if not context.as_json:
        _print_orphans(orphans, [each.account.name for each in found if not each.error])
        _print_failures(found)
    done: list[DeletedFiles] = []
    stopped = False
    if remove and not dry_run and number:
        if not yes:
            ask(f"Delete {quantity(number, 'file')} at the provider; this cannot be undone")
        done, stopped = _delete(context, found, orphans)
    if context.as_json:
        document(
            {
                "accounts": [
                    _account_json(each)
                    | {"orphans": [_file_json(file) for file in orphans[each.account.name]]}
                    for each in found
                ],
                "deleted": {each.account: [file.id for file in each.deleted] for each in done},
                "kept": {each.account: dict(each.kept) for each in done},
            }
        )
    elif done:
        for each in done:
            for file_id, reason in each.kept.items():
                print_error(f"{clean(file_id, 80)}: {reason}", Style.WARN)
        deleted = sum(len(each.deleted) for each in done)
        print_text(f"Deleted: {deleted:,} · Not deleted: {sum(len(each.kept) for each in done):,}")
    elif remove and number:
        print_error("dry run: nothing was deleted")
    if stopped:
        return INTERRUPTED
    return _failed(found) if all(each.clean for each in done) else FAILED


def _print_orphans(orphans: Mapping[str, Sequence[RemoteFile]], listed: Sequence[str]) -> None:
    """Print the orphans of all accounts; ``listed`` are those that could list their files."""
    files = [(name, file) for name, some in orphans.items() for file in some]
    if not files:
        where = "" if len(listed) == len(orphans) else f" at {', '.join(sorted(listed))}"
        if listed or not orphans:
            print_error(f"no file of a batch{where} is without a job")
        return
    now = store_time()
    columns = (
        TableColumn("ACCOUNT"),
        TableColumn("FILE"),
        TableColumn("SIZE", right=True),
        TableColumn("AGE", right=True),
        TableColumn("NAME", gives=True),
    )
    rows = [
        (
            name,
            file.id,
            "" if file.size is None else size_words(file.size),
            "" if file.created_at is None else short_span(now - file.created_at),
            file.name or "",
        )
        for name, file in files[:_MOST]
    ]
    table(columns, [[TableCell(text) for text in row] for row in rows])
    size = _bytes([file for _, file in files])
    more = f", of which {len(files) - _MOST:,} are not shown" if len(files) > _MOST else ""
    print_text(f"{quantity(len(files), 'file')}, {size_words(size)}{more}")


def _delete(
    context: CliContext, found: Sequence[AccountFiles], orphans: Mapping[str, Sequence[RemoteFile]]
) -> tuple[list[DeletedFiles], bool]:
    async def work(stop: CancelToken) -> tuple[list[DeletedFiles], bool]:
        async with open_session(context, stop) as session:
            done = [
                await delete_files(each.account, some, session.accounts, session.work)
                for each in found
                if (some := orphans[each.account.name])
            ]
            return done, stop.is_set()

    return run_stoppable(work)


def _account_json(found: AccountFiles) -> dict[str, Any]:
    kinds = (("known", found.known), ("unknown", found.unknown), ("other", found.others))
    return {
        "account": found.account.name,
        "error": found.error or None,
        "note": found.note or None,
        **{kind: {"files": len(files), "bytes": _bytes(files)} for kind, files in kinds},
    }


def _file_json(file: RemoteFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "bytes": file.size,
        "created_at": rfc3339(file.created_at),
        "expires_at": rfc3339(file.expires_at),
    }


def _place_json(place: LocalFolder) -> dict[str, Any]:
    return {"what": place.name, "path": str(place.path), "files": place.files, "bytes": place.bytes}


def prune(context: CliContext, spans: Mapping[str, int | None], *, yes: bool) -> int:
    """Carry the retention rules out, or print what they would remove; return the exit code."""
    context.config.refuse_faulty("retention")
    named = {name: span for name, span in spans.items() if span is not None}
    wanted = replace(context.config.retention or Retention(), **named)
    if wanted == Retention():
        raise UsageError("nothing to prune: name --records, --files or --remote, or set them in [retention]")
    if yes:
        context.writable()
    done: list[tuple[RetentionRule, Plan, ActionSummary | None]] = []
    for rule in rules(wanted):
        now = situation(context, named=False)
        plan = plan_rule(rule, context.opened.browser, now, context.config.store_path)
        summary = _carried_out(context, plan) if yes and plan.acting else None
        done.append((rule, plan, summary))
        if summary is not None and summary.interrupted:
            break
    if context.as_json:
        document({"dry_run": not yes, "rules": [_rule_json(*each) for each in done]})
    else:
        for each in done:
            _print_rule(*each)
        if not yes:
            print_error("dry run: nothing was changed; --yes carries it out")
    if any(summary is not None and summary.interrupted for _, _, summary in done):
        return INTERRUPTED
    return FAILED if any(summary is not None and not summary.clean for _, _, summary in done) else 0


def _carried_out(context: CliContext, plan: Plan) -> ActionSummary:
    async def work(stop: CancelToken) -> ActionSummary:
        async with open_session(context, stop) as session:
            return await execute(plan, session.work, lambda _outcome: None)

    return run_stoppable(work)


_RULE_WORDS = {
    "remote": "files at the provider",
    "files": "fetched results and copies of inputs",
    "records": "records",
}


def _print_rule(rule: RetentionRule, plan: Plan, summary: ActionSummary | None) -> None:
    what = f"{_RULE_WORDS[rule.name]} ({rule.filter})"
    if summary is None:
        print_text(f"{what}: of {quantity(len(plan.acting), 'job')}")
        for decision in plan.acting[:_MOST]:
            row = decision.job
            print_text(f"  {row.public_id}  {clean(row.name, 40)} ({clean(row.account, 32)})")
        if (more := len(plan.acting) - _MOST) > 0:
            print_text(f"  … and {more:,} more; --json has them all")
        return
    failed = [outcome for outcome in summary.outcomes if outcome.result is ActionResult.FAILED]
    print_text(
        f"{what}: removed of {quantity(summary.count(ActionResult.DONE), 'job')}, {len(failed):,} failed"
    )
    for outcome in failed[:_MOST]:
        print_error(f"  {outcome.job.public_id}  {clean(outcome.job.name, 40)}: {outcome.reason}", Style.WARN)


def _rule_json(rule: RetentionRule, plan: Plan, summary: ActionSummary | None) -> dict[str, Any]:
    counts = None
    if summary is not None:
        counts = {str(result): summary.count(result) for result in ActionResult}
    return {
        "rule": rule.name,
        "filter": rule.filter,
        "jobs": [decision.job.public_id for decision in plan.acting],
        "counts": counts,
    }
