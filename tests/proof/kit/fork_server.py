"""A process that gives birth to workers: it has imported everything, so that a worker costs a fork."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobdash.cli.main import COMMANDS, run
from jobdash.domain.plan import Action, Choices
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.session import AccountSession
from jobdash.operations.context import OperationContext
from jobdash.operations.execution import execute
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.planning import plan_jobs
from jobdash.operations.polling.sync_accounts import AccountSyncs
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.items import open_index, result_files
from jobdash.operations.submission.queue import submit_file
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit
from jobdash.providers.registry import bundled
from kit import dashboard
from kit.barrier import Gate, GatedStore, gate_files
from kit.fork_loop import next_birth, tell
from kit.tasks import Task


def main() -> None:
    for place in (info.adapter for info in bundled().values()):
        __import__(place.partition(":")[0])
    for module in COMMANDS.values():
        __import__(f"jobdash.cli.commands.{module}")
    task = next_birth()
    if task is not None:
        _live(task)


def _live(task: Task) -> None:
    code = 0
    try:
        tell("done", **_done(task))
    except BaseException:  # noqa: BLE001 - told to the parent, which fails the test
        tell("broken", trace=traceback.format_exc()[-2_000:])
        code = 1
    os._exit(code)


def _done(task: Task) -> dict[str, Any]:
    if task.action == "dashboard":
        return dashboard.live(task)
    if task.action == "command":
        return _command(task)
    return asyncio.run(_work(task))


def _command(task: Task) -> dict[str, Any]:
    """Run the program itself, in nothing but the environment it is given."""
    os.environ.clear()
    os.environ.update(task.env)
    for number, name in ((0, ""), (1, "stdout"), (2, "stderr")):
        path = Path(task.output) / name if name else Path(os.devnull)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww")
    )
    code = run(task.args)
    sys.stdout.flush()
    sys.stderr.flush()
    return {"code": code}


async def _work(task: Task) -> dict[str, Any]:
    def clock() -> int:
        return task.now

    config = task.config
    gate = Gate(task.gate, lambda: tell("gate"))
    gate_files(gate)
    store = GatedStore(config.database, clock, gate)
    browser = Browser(config.database, clock)
    names = frozenset(account.name for account in config.accounts)
    async with AccountClients(
        config.accounts,
        open_session=lambda account, on_wait: AccountSession(account, clock=clock, on_wait=on_wait),
    ) as accounts:
        work = OperationContext(accounts, store, names, clock)
        if task.action == "poll":
            account = config.account(task.account)
            assert account is not None
            report = await AccountSyncs(config, accounts, browser, work).if_due(account)
            return {"polled": report is not None}
        if task.action == "sync":
            reports = await AccountSyncs(config, accounts, browser, work).run([task.account])
            return {"errors": [str(report.error) for report in reports if report.error]}
        if task.action == "split":
            account = config.account(task.account)
            assert account is not None
            model = "model-x" if account.provider in {"gemini", "mistral"} else None
            wanted = order(
                Path(task.file), replace(account, max_requests=1), name="split", model=model, split=True
            )
            ends = await submit_file(wanted, accounts[task.account], work)
            return {"ends": [done.end.name for done in ends]}
        if task.action == "submit":
            account = config.account(task.account)
            assert account is not None
            model = "model-x" if account.provider in {"gemini", "mistral"} else None
            wanted = order(Path(task.file), account, name="submitted", model=model)
            done = await submit(wanted, accounts[task.account], work)
            return {"end": done.end.name, "reason": done.reason}
        rows = browser.by_remote(task.remote_id)
        if task.action == "fetch":
            request = FetchRequest(Path(task.file), lambda: Browser(config.database, clock), work)
            (fetched,) = await fetch(rows, request)
            details = browser.job(rows[0].id)
            files = None if details is None else result_files(details, config.database)
            if files is not None:
                open_index(files).close()
            return {"result": str(fetched.result), "reason": fetched.reason}
        choices = Choices(**task.choices)
        plan = plan_jobs(Action(task.action), rows, work.situation(), choices, browser=browser)
        summary = await execute(plan, work, lambda _outcome: None)
        (outcome,) = summary.outcomes
        return {"result": str(outcome.result), "reason": outcome.reason}


if __name__ == "__main__":
    main()
