"""``jobdash submit`` and ``jobdash demo``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from cli_kit import Cli
from shared.deadlines import within

from jobdash.cli.context import CliContext
from jobdash.cli.sync_output import ask
from jobdash.demo.emulator import ErrorAnswer, Reset
from jobdash.demo.environment import demo_world
from jobdash.demo.known_batches import KnownBatches
from jobdash.demo.samples import KEYS
from jobdash.domain.attention import AttentionReason
from jobdash.domain.time import system_clock
from jobdash.operations.attention import failing_accounts
from jobdash.operations.job_lookup import Scope, Sort
from jobdash.operations.results.folder import kept_folder


@pytest.fixture
def gemini_file(tmp_path: Path) -> Path:
    path = tmp_path / "poems.jsonl"
    path.write_text(json.dumps({"key": "r1", "request": {"contents": []}}) + "\n")
    return path


def test_submit(cli: Cli, batch_file: Path) -> None:
    # A-13 B-16
    ran = cli("submit", str(batch_file), "--account", "work", "--tag", "team=search")

    assert ran.code == 0
    job_id, remote_id = ran.out.split()
    job = cli.job(job_id)
    assert (job["remote_id"], job["name"], job["account"]) == (remote_id, "nightly", "work")
    assert (job["tags"]["team"], job["total"], job["endpoint"]) == ("search", 1, "/v1/responses")
    assert cli("cancel", job_id, "--yes").code == 0


def test_submit_to_gemini(cli: Cli, gemini_file: Path) -> None:
    assert cli("submit", str(gemini_file), "--account", "gemini").code == 2

    wishes = ("--account", "gemini", "--model", "gemini-x", "--name", "p")
    document = cli.json("submit", str(gemini_file), *wishes)

    assert (document["result"], document["job"]["name"]) == ("done", "p")


def test_a_batch_without_counts_and_a_name_of_its_own(cli: Cli, tmp_path: Path) -> None:
    cli.patch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-a-test")
    cli.patch.setenv("ANTHROPIC_BASE_URL", cli.server.anthropic_base_url)
    params = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"custom_id": "r1", "params": params}) + "\n")

    assert (
        "looks like one for Anthropic, not for OpenAI" in cli("submit", str(path), "--account", "openai").err
    )
    made = cli.json("submit", str(path), "--account", "anthropic", "--tag", "team=search")["job"]

    assert (made["name"], made["model"], made["succeeded"]) == ("questions", "claude-x", None)
    cli("sync", "--account", "anthropic")
    assert "—/1" in cli("list").out
    cli.clock.advance(7200)
    cli("sync", "--account", "anthropic")
    job = cli.job(made["id"])
    assert (job["name"], job["shown_status"], job["succeeded"]) == ("questions", "completed", 1)
    assert cli("fetch", made["id"], "--out", str(tmp_path / "out")).code == 0
    (results,) = (tmp_path / "out").glob("*/results.jsonl")
    assert json.loads(results.read_text())["response"]["stop_reason"] == "end_turn"


def test_submit_dry_run_checks_and_sends_nothing(cli: Cli, batch_file: Path) -> None:
    # B-16
    ran = cli("submit", str(batch_file), "--account", "openai", "--dry-run")

    assert ran.code == 0
    assert "nightly: 1 request, " in ran.out
    assert cli.json("submit", str(batch_file), "--account", "openai", "-n")["requests"] == 1
    assert cli.calls() == 0
    assert cli.json("list")["total"] == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "--account has to say which: openai, gemini, work"),
        (("--account", "nobody"), "no account 'nobody'"),
        (("--account", "local"), "your own scripts stand; --account has to say which: openai, gemini, work"),
        (("--account", "openai", "--tag", "x"), "has to look like key=value"),
        (("--account", "openai", "--endpoint", "/v1/embeddings"), "the lines say"),
    ],
)
def test_submit_wrongly(cli: Cli, batch_file: Path, args: tuple[str, ...], words: str) -> None:
    ran = cli("submit", str(batch_file), *args)

    assert ran.code == 2
    assert words in ran.err


def test_submit_of_a_broken_file_names_the_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"custom_id": "r1"}\n')

    ran = cli("submit", str(path), "--account", "openai")
    assert ran.code == 2
    assert "broken.jsonl, line 1: " in ran.err
    assert cli("submit", str(tmp_path / "nothing.jsonl"), "--account", "openai").code == 2


def requests_file(path: Path, number: int, model: str = "gpt-x") -> Path:
    """Write a file of so many requests for OpenAI."""
    body = {"method": "POST", "url": "/v1/responses", "body": {"model": model}}
    path.write_text("".join(json.dumps({"custom_id": f"r{n}"} | body) + "\n" for n in range(number)))
    return path


def test_several_files_become_a_batch_each_and_fail_by_themselves(cli: Cli, tmp_path: Path) -> None:
    first, last = requests_file(tmp_path / "one.jsonl", 1), requests_file(tmp_path / "three.jsonl", 3)
    broken = tmp_path / "two.jsonl"
    broken.write_text("nonsense\n")

    ran = cli("submit", str(first), str(broken), str(last), "--account", "openai", "--tag", "run=42")

    assert ran.code == 1
    assert len(ran.out.splitlines()) == 2
    assert f"jobdash: {broken}, line 1: not JSON" in ran.err
    jobs = {job["name"]: job for job in cli.json("list")["jobs"]}
    assert {name: job["total"] for name, job in jobs.items()} == {"one": 1, "three": 3}
    assert all(job["tags"]["run"] == "42" for job in jobs.values())


def test_several_files_as_json_are_one_document(cli: Cli, tmp_path: Path) -> None:
    files = [str(requests_file(tmp_path / f"{n}.jsonl", n)) for n in (1, 2)]
    missing = str(tmp_path / "missing.jsonl")

    planned = cli("submit", *files, missing, "--account", "openai", "--dry-run", "--json")
    ran = cli("submit", *files, missing, "--account", "openai", "--json")

    assert (planned.code, ran.code) == (1, 1)
    assert [each.get("requests") for each in planned.json["files"]] == [1, 2, None]
    assert [(each["file"], each["result"]) for each in ran.json["files"]] == [
        (files[0], "done"),
        (files[1], "done"),
        (missing, "failed"),
    ]


def test_one_of_several_files_that_is_refused_does_not_stop_the_rest(cli: Cli, tmp_path: Path) -> None:
    files = [str(requests_file(tmp_path / f"{n}.jsonl", n)) for n in (1, 2)]
    cli.fault(ErrorAnswer(400, '{"error": {"message": "no"}}'), "/v1/batches", "POST", times=1)

    ran = cli("submit", *files, "--account", "openai")

    assert (ran.code, len(ran.out.splitlines())) == (1, 1)
    assert "1 was not submitted: refused (400): no" in ran.err
    assert "2 was not" not in ran.err


@pytest.mark.parametrize(
    ("args", "words"),
    [(("--name", "x"), "--name is for one file"), (("-", "-"), "standard input, which is there once")],
)
def test_several_files_wrongly(cli: Cli, batch_file: Path, args: tuple[str, ...], words: str) -> None:
    ran = cli("submit", str(batch_file), str(batch_file), *args, "--account", "openai")

    assert ran.code == 2
    assert words in ran.err


def account_settings(cli: Cli, *lines: str) -> None:
    """Add settings to the account ``work``."""
    cli.config.write_text(cli.config.read_text() + "\n".join(lines) + "\n")


def test_a_file_over_a_limit_is_refused_and_split_into_a_family(cli: Cli, tmp_path: Path) -> None:
    account_settings(cli, "max_requests = 2")
    file = str(requests_file(tmp_path / "many.jsonl", 5))
    args = ("submit", file, "--account", "work")

    refused = cli(*args)
    planned = cli.json(*args, "--split", "--dry-run")
    ran = cli(*args, "--split")

    assert refused.code == 2
    assert "line 3: a batch takes 2 requests: --split cuts it into parts" in refused.err
    assert [part["requests"] for part in planned["parts"]] == [2, 2, 1]
    assert "in 3 parts" in cli(*args, "--split", "--dry-run").out
    assert ran.code == 0
    ids = [line.split()[0] for line in ran.out.splitlines()]
    jobs = [cli.job(job_id) for job_id in ids]
    assert [job["name"] for job in jobs] == ["many (1/3)", "many (2/3)", "many (3/3)"]
    assert {job["family"] for job in jobs} == {ids[0]}
    assert cli.json("list", "-f", f"family={ids[0]}")["total"] == 3
    again = cli(*args, "--split")
    assert again.code == 4
    assert again.err.count("the identical file was sent") == 3


def test_what_has_no_room_is_queued_here_and_sent_by_a_later_sync(cli: Cli, tmp_path: Path) -> None:
    account_settings(cli, "max_requests = 1", "enqueued_limit = 30")
    file = str(requests_file(tmp_path / "many.jsonl", 3))

    planned = cli("submit", file, "--account", "work", "--split", "--dry-run")
    ran = cli("submit", file, "--account", "work", "--split")

    assert "2 batches wait here until there is room at the provider" in planned.out
    assert cli.json("list", "-f", "queued:yes")["total"] == 2
    assert cli.json("submit", file, "--account", "work", "--split", "-n")["queued_here"] == 3
    assert ran.code == 0
    assert ran.out.count("queued here") == 2
    assert "it is sent when there is room" in ran.err
    ids = [line.split()[0] for line in ran.out.splitlines()]
    assert "pending · queued here" in cli("list").out
    shown = cli.job(ids[1])
    assert (shown["status"], shown["raw_status"], shown["remote_id"]) == ("pending", "queued here", None)
    assert shown["estimated_tokens"] == 23
    cancelled = cli("cancel", ids[2], "--yes")
    assert cancelled.code == 0
    assert "never sent" in cli("show", ids[2]).out
    cli("sync")
    assert cli.calls("POST", "/v1/batches") == 1
    cli("cancel", ids[0], "--yes")
    cli.clock.advance(60)
    assert "sent" in cli("sync").out
    assert cli.calls("POST", "/v1/batches") == 2
    assert cli.job(ids[1])["remote_id"] is not None
    assert cli.job(ids[2])["status"] == "cancelled"


def test_a_watch_sends_what_there_is_room_for(cli: Cli, tmp_path: Path) -> None:
    account_settings(cli, "max_requests = 1", "enqueued_limit = 30")
    cli("submit", str(requests_file(tmp_path / "many.jsonl", 2)), "--account", "work", "--split")

    cli("watch", "--once")
    assert cli.calls("POST", "/v1/batches") == 1, "the first part runs, and there is no room"
    cli.clock.advance(7200)
    cli("watch", "--once")

    assert cli.calls("POST", "/v1/batches") == 2


def test_a_cancel_of_all_pending_sends_nothing_of_the_queue_first(cli: Cli, tmp_path: Path) -> None:
    account_settings(cli, "max_requests = 1", "enqueued_limit = 30")
    file = str(requests_file(tmp_path / "many.jsonl", 3))
    cli("submit", file, "--account", "work", "--split")
    cli.clock.advance(7200)  # the one that was sent has ended by now

    dry = cli("cancel", "--all-pending", "--dry-run", "--no-sync")
    ran = cli("cancel", "--all-pending", "--yes")

    assert "never sent: cancelled at once" in dry.out + dry.err
    assert ran.code == 0
    assert cli.calls("POST", "/v1/batches") == 1
    assert sorted(job["status"] for job in cli.json("list")["jobs"])[:2] == ["cancelled", "cancelled"]


def test_the_tokens_are_estimated_before_anything_is_sent(cli: Cli, tmp_path: Path) -> None:
    file = requests_file(tmp_path / "many.jsonl", 100)
    tokens = -(-len(file.read_text()) // 4)

    ran = cli("submit", str(file), "--account", "openai", "--dry-run")

    assert f"≈ {tokens // 100 / 10}k tokens (characters ÷ 4)" in ran.out
    assert cli.json("submit", str(file), "--account", "openai", "-n")["estimated_tokens"] == tokens


def test_submit_names_every_wrong_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"custom_id": "r1"}\nnonsense\n\n')

    ran = cli("submit", str(path), "--account", "openai")

    assert ran.code == 2
    assert f"jobdash: {path} has 3 wrong lines:" in ran.err
    for line in ("  line 1: ", "  line 2: not JSON", "  line 3: the line is empty"):
        assert f"\n{line}" in ran.err


def test_submit_asks_before_the_identical_file_is_sent_again(cli: Cli, batch_file: Path) -> None:
    args = ("submit", str(batch_file), "--account", "openai")
    first = cli(*args).out.split()[0]
    other = batch_file.with_name("copy.jsonl")
    other.write_bytes(batch_file.read_bytes())

    unasked = cli("submit", str(other), "--account", "openai")

    assert unasked.code == 4
    assert "tokens (characters ÷ 4), to openai" in unasked.err
    assert re.search(r"the identical file was sent \d+s ago: ", unasked.err)
    assert f"{first} nightly (openai), validating" in unasked.err
    assert cli.calls("POST", "/v1/batches") == 1
    assert cli.json(*args, "--dry-run")["sent_before"][0]["id"] == first
    assert cli.at_terminal("n\n", *args).code == 4
    assert cli.at_terminal("y\n", *args).code == 0
    assert cli(*args, "--yes").code == 0
    assert cli.calls("POST", "/v1/batches") == 3


def test_the_same_content_twice_in_one_command_is_asked_about(cli: Cli, batch_file: Path) -> None:
    copy = batch_file.with_name("copy.jsonl")
    copy.write_bytes(batch_file.read_bytes())
    args = ("submit", str(batch_file), str(copy), "--account", "openai")

    unasked = cli(*args)

    assert (unasked.code, cli.calls("POST", "/v1/batches")) == (4, 0)
    assert f"{copy}: the same content as {batch_file}" in unasked.err
    assert [each["same_as"] for each in cli.json(*args, "--dry-run")["files"]] == [None, str(batch_file)]
    assert cli.at_terminal("y\n", *args).code == 0
    assert cli.calls("POST", "/v1/batches") == 2


def test_of_two_submits_of_one_file_at_once_one_is_refused(cli: Cli, batch_file: Path) -> None:
    args = ("submit", str(batch_file), "--account", "openai")
    cli("list")  # makes the store

    started = [cli.start(*args) for _ in range(2)]
    ran = [process.communicate(timeout=60) for process in started]

    assert sorted(process.returncode for process in started) in ([0, 1], [0, 4])  # the second, or asked about
    assert cli.calls("POST", "/v1/batches") == 1
    assert any("the identical file was sent" in err for _, err in ran)


def test_what_was_certainly_not_created_may_be_sent_again_without_a_question(
    cli: Cli, batch_file: Path
) -> None:
    cli.fault(ErrorAnswer(400, '{"error": {"message": "no"}}'), "/v1/batches", "POST", times=1)
    assert cli("submit", str(batch_file), "--account", "openai").code == 1

    assert cli("submit", str(batch_file), "--account", "openai").code == 0


def test_a_file_whose_name_is_no_text_is_sent_under_what_is_readable_of_it(
    cli: Cli, batch_file: Path
) -> None:
    odd = batch_file.with_name(os.fsdecode(b"bad\xff\xfe.jsonl"))
    odd.write_bytes(batch_file.read_bytes())
    ran = cli("submit", str(odd), "--account", "openai")
    assert ran.code == 0, ran.err
    assert cli.json("show", ran.out.split()[0])["name"] == "bad??"


@pytest.mark.slow
def test_submit_reads_standard_input(cli: Cli, batch_file: Path) -> None:
    with cli.start(
        "submit", "-", "--account", "openai", "--name", "piped", stdin=batch_file.open("rb")
    ) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert cli.job(out.split()[0])["name"] == "piped"
    with cli.start("submit", "-", "--account", "openai", stdin=subprocess.PIPE) as process:
        out, err = process.communicate("{}\n", timeout=60)
    assert process.returncode == 2
    assert "standard input, line 1: " in err


def test_submit_asks_about_an_endpoint_nobody_knows(cli: Cli, tmp_path: Path) -> None:
    body = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completion", "body": {"model": "gpt-x"}}
    path = tmp_path / "slip.jsonl"
    path.write_text(json.dumps(body) + "\n")

    ran = cli("submit", str(path), "--account", "openai")

    assert ran.code == 4
    assert "'/v1/chat/completion'; do you mean /v1/chat/completions?" in ran.err
    assert cli.calls("POST") == 0


def test_embeddings_go_to_their_own_call(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "embed.jsonl"
    request = {"content": {"parts": [{"text": "t"}]}, "output_dimensionality": 8}
    path.write_text("".join(json.dumps({"key": key, "request": request}) + "\n" for key in "abc"))
    wishes = ("submit", str(path), "--account", "gemini", "--model", "gemini-x-embedding")

    assert "3 embeddings requests" in cli(*wishes, "--dry-run").out
    ran = cli(*wishes)

    assert ran.code == 0
    assert cli.calls("POST", "*asyncBatchEmbedContent") == 1
    job = cli.job(ran.out.split()[0])
    assert (job["model"], job["total"], job["status"]) == ("gemini-x-embedding", 3, "pending")
    wrong = cli(*wishes[:-1], "gemini-x-flash", "--yes")
    assert wrong.code == 1
    assert "is not supported for asyncBatchEmbedContent" in wrong.err


def test_a_refused_submit(cli: Cli, batch_file: Path) -> None:
    cli.fault(ErrorAnswer(400, '{"error": {"message": "no"}}'), "/v1/batches", "POST")

    ran = cli("submit", str(batch_file), "--account", "openai")

    assert ran.code == 1
    assert "nightly was not submitted: refused (400): no" in ran.err
    assert cli.json("list")["jobs"][0]["status"] == "failed"


def test_an_unclear_submit_says_so_and_is_found_later(cli: Cli, batch_file: Path) -> None:
    cli.fault(Reset(applied=True), "/v1/batches", "POST")
    cli.fault(ErrorAnswer(400), "/v1/batches", "GET", times=1)

    ran = cli("submit", str(batch_file), "--account", "openai")

    assert ran.code == 1
    assert "nightly is not confirmed: no answer" in ran.err
    cli("sync")
    (job,) = cli.json("list")["jobs"]
    assert (job["remote_id"] is not None, job["status"]) == (True, "validating")
    assert cli.calls("POST", "/v1/batches") == 1


def test_the_demo_needs_no_environment_and_leaves_nothing(cli: Cli) -> None:
    for name in tuple(os.environ):
        cli.patch.delenv(name)

    with demo_world() as config:
        folder = config.database.parent
        assert config.demo
        assert [account.name for account in config.accounts] == [*KEYS, "archive"]
        assert folder.exists()

    assert not folder.exists()


def test_the_demo_has_jobs_in_every_state(cli: Cli) -> None:
    with demo_world() as config:
        context = CliContext()
        context.config = config  # type: ignore[misc]
        reports = ask(context)
        words = {row.status for row in context.opened.browser.page(Scope(), Sort(), None, 200)}
        context.opened.browser.close()

    assert [report.account for report in reports if report.error is not None] == ["archive"]
    assert len(words) >= 8


def test_the_demo_shows_from_its_start_what_needs_a_past(cli: Cli) -> None:
    with demo_world() as config:
        context = CliContext()
        context.config = config  # type: ignore[misc]
        with KnownBatches(config) as known:
            known.begin()
            known.wait()
        ask(context)
        browser = context.opened.browser
        jobs = browser.jobs([row.id for row in browser.page(Scope(), Sort(), None, 200)]).values()
        failing = failing_accounts(browser, config.account_names, system_clock())
        kept = {job.row.name: kept_folder(job) for job in jobs}
        browser.close()

    by_name = {job.row.name: job.row for job in jobs}
    counts = {name: row.collected for name, row in by_name.items() if row.collected is not None}
    assert all(kept[name] is not None for name in counts)
    assert any(count.error for count in counts.values())
    assert any(count.cut_off for count in counts.values())
    assert all(row.cost for name, row in by_name.items() if name in counts)
    assert [name for name, row in by_name.items() if row.queued_here] == ["catalogue-descriptions (2/2)"]
    assert by_name["catalogue-descriptions (1/2)"].remote_id is not None
    reasons = {reason for job in jobs for reason in job.attention}
    assert reasons == set(AttentionReason) - {AttentionReason.STALLED}  # which is a script
    assert [each.health.name for each in failing] == ["archive"]


def test_only_the_emulator(cli: Cli) -> None:
    process = cli.start("demo", "--emulator-only")
    assert process.stdout is not None
    lines = [within(process.stdout.readline).strip() for _ in range(4)]
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert set(exports) == {"OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"}

    request = urllib.request.Request(
        f"{exports['OPENAI_BASE_URL']}/batches",
        headers={"Authorization": f"Bearer {exports['OPENAI_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["data"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "")


def test_every_server_of_the_emulator_is_an_account_by_what_it_prints(cli: Cli) -> None:
    process = cli.start("demo", "--emulator-only", "--empty")
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "openrouter/openai/v1" not in lines[-1]:
        lines.append(within(process.stdout.readline).rstrip("\n"))
        assert process.poll() is None
    for line in lines:
        if line.startswith("export "):
            cli.patch.setenv(*line.removeprefix("export ").split("=", 1))
    # As `sed -n 's/^# //p'` does.
    cli.config.write_text("\n".join(line[2:] for line in lines if line.startswith("# ")))
    try:
        ran = cli("doctor")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert ran.code == 0, ran.out
    for name in ("openai", "gemini", "anthropic", "mistral"):
        assert f"✔ account {name}: {name}" in ran.out
    for name in ("azure", "groq", "novita", "together", "openrouter"):
        assert f"✔ account {name}: openai, profile {name}, http://127.0.0.1" in ran.out


def test_a_port_in_use_is_said(cli: Cli) -> None:
    port = cli.server.url.rpartition(":")[2]
    handler = signal.getsignal(signal.SIGINT)

    ran = cli("demo", "--emulator-only", "--port", port)

    assert ran.code == 1
    assert signal.getsignal(signal.SIGINT) is handler
    assert f"port {port} cannot be used" in ran.err


def test_samples_fill_a_store_once(cli: Cli) -> None:
    path = str(cli.folder / "many.db")

    ran = cli("demo", "--jobs", "1200", "--db", path)
    assert ran.code == 0
    assert "1,200 sample jobs in" in ran.out
    again = cli("demo", "--jobs", "1200", "--db", path)
    assert again.code == 6
    assert "exists already" in again.err
    assert cli.json("list", "--db", path, "--removed", "--limit", "1")["total"] == 1200


@pytest.mark.slow
def test_a_million_samples_in_a_minute(cli: Cli) -> None:
    started = time.process_time()  # of this process: what else the machine is at does not count

    cli("demo", "--jobs", "1000000", "--db", str(cli.folder / "many.db"))

    assert time.process_time() - started < 90


@pytest.mark.slow
def test_a_batch_that_failed_when_it_was_created_is_no_success(cli: Cli, batch_file: Path) -> None:
    answer = {"object": "batch", "status": "failed", "created_at": 1_700_000_000}
    answer |= {"errors": {"data": [{"code": "empty_file", "message": "The batch is empty."}]}}
    for batch in ("batch_1", "batch_2"):
        cli.fault(ErrorAnswer(200, json.dumps(answer | {"id": batch})), "/v1/batches", "POST", times=1)

    ran = cli("submit", str(batch_file), "--account", "openai")
    document = cli("submit", str(batch_file), "--account", "openai", "--json", "--yes")

    assert (ran.code, document.code) == (1, 1)
    assert "batch_1" in ran.out
    assert "was created, and is over at once: failed: The batch is empty. See: jobdash show" in ran.err
    assert document.json["result"] == "failed"
    assert document.json["reason"] == "failed: The batch is empty."


def test_a_default_account_ends_the_question_for_one(cli: Cli, batch_file: Path) -> None:
    said = cli.config.read_text() if cli.config.exists() else ""
    cli.config.write_text(f'default_account = "work"\n{said}')

    assert cli.json("submit", str(batch_file), "--dry-run")["account"] == "work"
    assert cli.json("submit", str(batch_file), "--dry-run", "--account", "openai")["account"] == "openai"
    assert cli.json("config", "show")["default_account"] == "work"


@pytest.mark.parametrize(
    "args", [("--speed", "60"), ("--empty",), ("--emulator-only", "--speed", "0"), ("--jobs", "3", "--empty")]
)
def test_speed_and_empty_are_for_the_emulator_alone(cli: Cli, args: tuple[str, ...]) -> None:
    assert cli("demo", *args).code == 2


@pytest.mark.slow
def test_an_emulator_at_speed_ends_a_tiny_batch_in_seconds(cli: Cli, batch_file: Path) -> None:
    import openai

    process = cli.start("demo", "--emulator-only", "--empty", "--speed", "60")
    assert process.stdout is not None
    lines = [within(process.stdout.readline).strip() for _ in range(4)]
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    client = openai.OpenAI(api_key=exports["OPENAI_API_KEY"], base_url=exports["OPENAI_BASE_URL"])
    try:
        assert client.batches.list().data == []
        file = client.files.create(file=batch_file, purpose="batch")
        made = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
        began = time.monotonic()
        while (now := client.batches.retrieve(made.id)).status != "completed":
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        assert time.monotonic() - began < 6
        assert now.output_file_id is not None
        assert now.completed_at is not None
        assert made.created_at <= now.completed_at <= time.time() + 1
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
