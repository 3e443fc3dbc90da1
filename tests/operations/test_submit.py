"""Submit: checked first, sent once, and never lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import World, made_accounts, openai_requests
from shared.other_program import refusing

from jobdash.demo.emulator import EmptyJson, ErrorAnswer, Reset
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.errors import UsageError
from jobdash.operations.execution import execute
from jobdash.operations.person import current_actor
from jobdash.operations.submission.outcome import SubmitEnd, SubmitOutcome
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import NO_ANSWER, submit
from jobdash.store.writer import Writer


@pytest.fixture
def openai_file(tmp_path: Path) -> Path:
    return openai_requests(tmp_path / "nightly eval.jsonl", 3)


@pytest.fixture
def gemini_file(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        "".join(json.dumps({"key": f"r{n}", "request": {"contents": []}}) + "\n" for n in range(2))
    )
    return path


async def submitted(world: World, path: Path, account: str = "openai", **wishes: object) -> SubmitOutcome:
    found = world.config.account(account)
    assert found is not None
    wanted = order(path, found, **wishes)  # type: ignore[arg-type]
    return await submit(wanted, world.accounts[account], world.work)


async def test_a_file_becomes_a_batch_with_its_name_tags_and_key(world: World, openai_file: Path) -> None:
    # A-13 B-16
    done = await submitted(world, openai_file, tags={"team": "search"})

    assert done.end is SubmitEnd.CREATED
    assert done.row is not None
    assert done.row.remote_id is not None
    job = world.browser.job(done.row.id)
    assert job is not None
    assert (job.row.name, job.row.total, job.row.model) == ("nightly eval", 3, "gpt-x")
    assert (job.row.endpoint, job.tags["team"]) == ("/v1/responses", "search")
    assert job.row.status is Status.VALIDATING
    assert world.open_intents() == []
    assert (await world.sync("openai"))["openai"].new == 0


async def test_gemini_wants_a_model(world: World, gemini_file: Path) -> None:
    with pytest.raises(UsageError, match="--model"):
        await submitted(world, gemini_file, "gemini")

    done = await submitted(world, gemini_file, "gemini", model="gemini-x-flash", name="questions")

    assert done.end is SubmitEnd.CREATED
    assert done.row is not None
    assert done.row.name == "questions"
    assert (await world.sync("gemini"))["gemini"].new == 0, "found again by its key"


@pytest.mark.parametrize(
    ("wishes", "words"),
    [({"endpoint": "/v1/embeddings"}, "the lines say"), ({"model": "other"}, "name the model themselves")],
)
async def test_wishes_that_contradict_the_lines_are_refused(
    world: World, openai_file: Path, wishes: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        await submitted(world, openai_file, **wishes)
    assert world.calls() == 0


async def test_a_refused_upload_fails_the_job_and_creates_nothing(world: World, openai_file: Path) -> None:
    world.fault(ErrorAnswer(400, '{"error": {"message": "not that file"}}'), "/v1/files")

    done = await submitted(world, openai_file)

    assert (done.end, done.row and done.row.status) == (SubmitEnd.FAILED, Status.FAILED)
    assert "not that file" in done.reason
    assert world.calls("POST", "/v1/batches") == 0
    assert world.open_intents() == []


async def test_a_refused_creation_fails_the_job_and_says_what_stays(world: World, openai_file: Path) -> None:
    world.fault(ErrorAnswer(400), "/v1/batches", "POST")

    done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.FAILED
    assert "the uploaded file file-" in done.reason
    assert done.row is not None
    assert done.row.error is not None


async def test_the_file_of_a_failed_submit_can_be_cleaned_up(world: World, openai_file: Path) -> None:
    world.fault(ErrorAnswer(400), "/v1/batches", "POST")
    done = await submitted(world, openai_file)
    assert done.row is not None
    plan = world.plan(Action.REMOVE, [done.row], remote=True)

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert (outcome.result, "deleted input file-" in outcome.reason) == (ActionResult.DONE, True)
    assert world.calls("DELETE", "/v1/files/*") == 1


@pytest.mark.parametrize("account", ["openai", "gemini"])
async def test_the_file_of_a_failed_submit_can_be_cleaned_up_by_a_later_command(
    world: World, openai_file: Path, gemini_file: Path, account: str
) -> None:
    world.fault(ErrorAnswer(400), "*batch*", "POST")
    gemini = account == "gemini"
    wishes = {"model": "gemini-x"} if gemini else {}
    done = await submitted(world, gemini_file if gemini else openai_file, account, **wishes)
    assert done.row is not None
    await world.with_accounts(world.config.accounts)  # nobody has asked anything of them yet
    plan = world.plan(Action.REMOVE, [done.row], remote=True)

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert (outcome.result, "deleted input file" in outcome.reason) == (ActionResult.DONE, True)
    assert world.calls("DELETE") == 1


async def test_a_clean_up_with_settings_that_cannot_be_used_says_so(world: World, openai_file: Path) -> None:
    world.fault(ErrorAnswer(400), "/v1/batches", "POST")
    done = await submitted(world, openai_file)
    assert done.row is not None
    accounts = tuple(replace(account, base_url="nowhere") for account in world.config.accounts)
    await world.with_accounts(accounts)
    plan = world.plan(Action.REMOVE, [done.row], remote=True)

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert outcome.result is ActionResult.FAILED
    assert "base_url is not a web address" in outcome.reason
    assert "record kept" in outcome.reason


async def test_tags_that_do_not_fit_are_refused_before_the_upload(world: World, openai_file: Path) -> None:
    for tags in ({f"t{n}": "v" for n in range(15)}, {"t": "v" * 513}):
        with pytest.raises(UsageError, match="tag"):
            await submitted(world, openai_file, tags=tags)
    assert world.calls() == 0


async def test_429_is_waited_out_and_creates_one_batch(world: World, openai_file: Path) -> None:
    world.fault(ErrorAnswer(429, retry_after=3), "/v1/batches", "POST", times=2)

    assert (await submitted(world, openai_file)).end is SubmitEnd.CREATED
    assert (await world.sync("openai"))["openai"].seen == 1


@pytest.mark.parametrize("effect", [Reset(applied=True), EmptyJson()])
async def test_a_lost_answer_to_the_creation_is_looked_for_and_never_sent_again(
    world: World, openai_file: Path, effect: Reset | EmptyJson
) -> None:
    world.fault(effect, "/v1/batches", "POST")

    done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.CREATED
    assert done.row is not None
    assert done.row.remote_id is not None
    assert world.calls("POST", "/v1/batches") == 1


async def test_a_creation_that_never_arrived_stays_in_doubt_until_the_syncs_can_tell(
    world: World, openai_file: Path
) -> None:
    world.fault(Reset(applied=False), "/v1/batches", "POST")

    done = await submitted(world, openai_file)

    assert (done.end, done.reason) == (SubmitEnd.UNCONFIRMED, NO_ANSWER)
    assert done.row is not None
    (intent,) = world.open_intents()
    assert intent.job_id == done.row.id
    world.pass_time(50 * 60)
    (reconciled,) = (await world.sync("openai"))["openai"].reconciled
    assert "may or may not exist" in reconciled.notice
    assert world.calls("POST", "/v1/batches") == 1


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_creation_that_was_redirected_may_have_made_a_batch(
    world: World, openai_file: Path, status: int
) -> None:
    world.fault(ErrorAnswer(status, "", headers={"Location": "/v1/batches/new"}), "/v1/batches", "POST")

    done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.UNCONFIRMED
    assert f"redirected to /v1/batches/new, where no action follows ({status}); set base_url" in done.reason
    assert "may or may not exist" in done.reason
    assert len(world.open_intents()) == 1


async def test_a_creation_that_was_sent_to_another_server_made_no_batch(
    world: World, openai_file: Path
) -> None:
    world.fault(ErrorAnswer(307, "", headers={"Location": "http://other.test/x"}), "/v1/batches", "POST")

    done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.FAILED
    assert done.reason.startswith("redirected to http://other.test, where no action follows (307)")
    assert world.open_intents() == []


def given_up(world: World, path: str) -> None:
    """While a request of this path waits out a 429, another process takes the submit for dead."""

    def rival() -> None:
        if world.open_intents() and world.calls("POST", path):
            writer = Writer(world.config.database, world.ms, current_actor("rival"))
            writer.leave_unconfirmed(world.open_intents()[0].id, "no list shows it")
            writer.close()

    world.fault(ErrorAnswer(429, retry_after=5), path, "POST", times=1)
    world.while_waiting = rival


@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches"])
async def test_a_submit_that_was_given_up_meanwhile_is_not_sent_again(
    world: World, openai_file: Path, path: str
) -> None:
    given_up(world, path)

    done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.UNCONFIRMED
    assert done.reason.startswith("given up meanwhile by another jobdash; look with jobdash sync")
    assert ("the uploaded file file-" in done.reason) is (path == "/v1/batches")
    assert world.calls("POST", path) == 1
    assert world.calls("POST", "/v1/batches") <= 1
    assert done.row is not None
    assert (done.row.status, done.row.raw_status) == (Status.UNKNOWN, "unconfirmed")


NO_FILE = "UPDATE OF files ON job WHEN new.remote_id IS NULL"


async def test_a_file_whose_id_cannot_be_written_becomes_a_batch_all_the_same(
    world: World, openai_file: Path
) -> None:
    with refusing(world.config.database, NO_FILE):
        done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.CREATED
    assert done.row is not None
    job = world.browser.job(done.row.id)
    assert job is not None
    assert job.files["input"].startswith("file-")


async def test_a_store_that_cannot_be_written_after_the_upload_sends_no_more_and_names_the_file(
    world: World, openai_file: Path
) -> None:
    with refusing(world.config.database, NO_FILE, "UPDATE OF deadline ON intent"):
        done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.FAILED
    assert "no room" in done.reason
    assert "the uploaded file file-" in done.reason
    assert world.calls("POST", "/v1/batches") == 0


async def test_a_file_whose_id_could_not_be_written_is_written_when_its_submit_fails(
    world: World, openai_file: Path
) -> None:
    with refusing(world.config.database, NO_FILE) as lift:
        world.fault(ErrorAnswer(429, retry_after=5), "/v1/batches", "POST", times=1)
        world.fault(ErrorAnswer(400), "/v1/batches", "POST")
        world.while_waiting = lift
        done = await submitted(world, openai_file)

    assert done.end is SubmitEnd.FAILED
    assert done.row is not None
    job = world.browser.job(done.row.id)
    assert job is not None
    assert job.files["input"].startswith("file-")


async def test_a_stop_before_its_turn_leaves_nothing_behind(world: World, openai_file: Path) -> None:
    world.stop.set()

    done = await submitted(world, openai_file)

    assert (done.end, done.row) == (SubmitEnd.STOPPED, None)
    assert world.browser.counts().total == 0
    assert world.calls() == 0


async def test_without_a_key_nothing_is_written(world: World, openai_file: Path) -> None:
    await world.with_accounts(made_accounts(world.server, {"openai": None}))

    done = await submitted(world, openai_file)

    assert (done.end, done.row) == (SubmitEnd.REJECTED, None)
    assert done.reason == "no key: set OPENAI_KEY"


async def test_a_broken_file_names_its_line(world: World, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text("{}\n")

    with pytest.raises(UsageError, match="line 1"):
        await submitted(world, path)
