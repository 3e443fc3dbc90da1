"""The right server: an account that points elsewhere now is asked nothing about the jobs of its old one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from operations_kit import CANCEL, World, made_accounts

from jobdash.demo.emulator import BatchScript, Emulator, EmulatorServer, Ending, Reset
from jobdash.domain.plan import Action, ActionResult, Choices
from jobdash.domain.status import Status
from jobdash.errors import ConfigError
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.actions.refresh_errors import refresh_errors
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.execution import execute
from jobdash.operations.person import current_actor
from jobdash.operations.planning import plan_jobs
from jobdash.operations.polling.remote_lookup import find_remote
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.store.records import ActionRequest
from jobdash.store.writer import Writer


@dataclass
class Moved:
    """A world whose accounts lead to another server now."""

    world: World
    other: Emulator
    there: EmulatorServer

    async def move(self) -> None:
        """Let every account lead to the other server."""
        await self.world.with_accounts(made_accounts(self.there))
        self.world.emulator.journal.clear()

    async def move_back(self) -> None:
        await self.world.with_accounts(made_accounts(self.world.server))

    @property
    def origins(self) -> tuple[str, str]:
        return self.world.server.openai_base_url, self.there.openai_base_url

    def asked(self, path: str = "*", method: str = "*") -> list[str]:
        """What the other server was asked, its list apart."""
        calls = self.other.journal.calls(method, path)
        return [f"{call.method} {call.path}" for call in calls if call.path != "/v1/batches"]

    def names_both(self, words: str) -> bool:
        return all(origin in words for origin in self.origins)


@pytest.fixture
async def moved(world: World) -> AsyncIterator[Moved]:
    other = Emulator(clock=world.clock)
    with EmulatorServer(other) as there:
        yield Moved(world, other, there)


async def _planned(moved: Moved, action: Action, batch: str, **choices: object) -> str:
    """Do an action as the faces do; return what was said of the job."""
    (outcome,) = (await moved.world.do(action, batch, **choices)).outcomes
    # What is done here alone is done: the verdict, and the record that is removed by force.
    assert outcome.result is not ActionResult.DONE or action is Action.FORCE_FAIL or choices.get("force")
    return outcome.reason


async def _meant_before(moved: Moved, action: Action, batch: str, **choices: object) -> str:
    """Carry out what was planned before anybody knew of the other server."""
    world = moved.world
    row = world.row(batch)
    situation = replace(world.work.situation(), servers={})
    plan = plan_jobs(action, [row], situation, Choices(**choices))  # type: ignore[arg-type]
    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes
    return outcome.reason


ACTIONS: dict[str, tuple[Action, dict[str, object]]] = {
    "cancel": (Action.CANCEL, {}),
    "cancel & delete": (Action.REMOVE, {"cancel_first": True}),
    "cancel & delete, clean-up": (Action.REMOVE, {"cancel_first": True, "remote": True}),
    "force-fail": (Action.FORCE_FAIL, {}),
    "forced remove, cancel": (Action.REMOVE, {"cancel_first": True, "force": True}),
    "forced remove, clean-up": (Action.REMOVE, {"force": True, "remote": True}),
}


@pytest.mark.parametrize("how", [_planned, _meant_before])
@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("account", ["openai", "gemini"])
@pytest.mark.slow
async def test_no_action_on_an_unfinished_job_asks_the_wrong_server(
    moved: Moved, name: str, how: Callable[..., Awaitable[str]], account: str
) -> None:
    world = moved.world
    batch = world.add(account, running=math.inf)
    await world.sync()
    await moved.move()
    action, choices = ACTIONS[name]

    words = await how(moved, action, batch, **choices)

    assert moved.asked() == []
    base = world.server.openai_base_url if account == "openai" else world.server.gemini_base_url
    here = moved.there.openai_base_url if account == "openai" else moved.there.gemini_base_url
    assert base in words
    assert here in words
    row = world.row(batch)
    assert row.cancel_requested_at is None
    assert row.gone_at is None
    assert world.open_intents() == []


@pytest.mark.parametrize("how", [_planned, _meant_before])
@pytest.mark.parametrize("choices", [{}, {"record": False}, {"force": True}])
async def test_nothing_of_a_finished_job_is_deleted_at_the_wrong_server(
    moved: Moved, how: Callable[..., Awaitable[str]], choices: dict[str, object]
) -> None:
    world = moved.world
    batch = world.add_finished()
    await world.sync()
    await moved.move()

    words = await how(moved, Action.REMOVE, batch, remote=True, **choices)

    assert moved.asked() == []
    assert moved.names_both(words)
    assert "deleted " not in words.replace("not deleted", "")
    assert world.row(batch).removed_at is None or choices.get("force")


async def test_the_record_of_a_finished_job_can_be_removed_wherever_its_account_is(moved: Moved) -> None:
    batch = moved.world.add_finished()
    await moved.world.sync()
    await moved.move()

    outcome = await moved.world.one(Action.REMOVE, batch)

    assert outcome.result is ActionResult.DONE
    assert moved.asked() == []
    action = find_undoable(moved.world.browser, current_actor("test").name)
    assert action is not None
    (undone,) = await undo(action, moved.world.store)
    assert undone.reason is None
    assert moved.asked() == []


async def test_refresh_errors_does_not_ask_the_wrong_server(moved: Moved) -> None:
    batch = moved.world.add(age=600.0, ending=Ending.FAILS)
    await moved.world.sync()
    await moved.move()

    (done,) = await refresh_errors([moved.world.row(batch)], moved.world.work, lambda _done: None)

    assert done.result is ActionResult.FAILED
    assert moved.names_both(done.reason)
    assert moved.asked() == []


async def test_a_sync_asks_nothing_of_jobs_elsewhere_and_says_so(moved: Moved) -> None:
    world = moved.world
    batch = world.add(running=math.inf)
    await world.sync()
    await moved.move()

    for minutes in (1, 10, 60):
        world.pass_time(minutes * 60)
        report = (await world.sync("openai"))["openai"]
        assert report.error is None
        assert [row.remote_id for row in report.elsewhere] == [batch]
        assert report.gone == []

    assert moved.asked() == []
    assert world.row(batch).gone_at is None
    assert world.row(batch).status is Status.IN_PROGRESS
    await moved.move_back()
    assert (await world.sync())["openai"].elsewhere == []


async def test_nobody_waits_for_a_job_at_another_server(moved: Moved) -> None:
    world = moved.world
    batch = world.add(running=math.inf)
    await world.sync()
    await moved.move()
    waiting = WaitProgress(
        ids=(world.row(batch).id,),
        ended=lambda row: row.terminal,
        deadline=world.ms() + 90_000,
        sleep=world.sleep,
    )

    with pytest.raises(ConfigError) as caught:
        await wait_until(waiting, world.syncs)

    assert moved.names_both(str(caught.value))
    assert moved.asked() == []


async def test_a_removal_that_waits_is_not_carried_out_at_another_server(moved: Moved) -> None:
    world = moved.world
    batch = world.add(cancelling=30.0, running=math.inf)
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True, remote=True)
    world.pass_time(60)
    row = world.row(batch)
    assert row.removing is not None
    # Its end is seen, and before the removal goes on the account is moved.
    answer = await world.accounts["openai"].call(GetBatch(batch))
    await world.store.write(
        lambda writer: writer.upsert("openai", "openai", row.origin, [answer], world.ms())
    )
    await moved.move()

    (outcome,) = (await world.sync("openai"))["openai"].removals

    assert outcome.result is ActionResult.FAILED
    assert moved.names_both(outcome.reason)
    assert moved.asked() == []
    assert world.row(batch).removed_at is None


async def test_a_cancel_that_was_interrupted_is_not_looked_into_elsewhere(moved: Moved) -> None:
    world = moved.world
    batch = world.add(running=math.inf)
    await world.sync()
    row = world.row(batch)
    with Writer(world.config.database, world.ms, current_actor("rival")) as rival:
        rival.begin_cancel(ActionRequest(row.id, row.fence), deadline=world.ms() + 1)
    world.pass_time(600)
    await moved.move()

    report = (await world.sync("openai"))["openai"]

    assert report.reconciled == []
    assert moved.asked() == []
    assert world.row(batch).status is Status.CANCELLING
    await moved.move_back()
    assert len((await world.sync("openai"))["openai"].reconciled) == 1


async def test_a_cancel_without_an_answer_is_not_withdrawn_for_what_another_server_says(moved: Moved) -> None:
    world = moved.world
    batch = world.add("gemini", running=math.inf)
    await world.sync()
    world.fault(Reset(applied=False), "*:cancel")
    await world.one(Action.CANCEL, batch)
    assert world.row(batch).cancel_doubt
    await moved.move()
    world.pass_time(900)

    assert (await world.sync("gemini"))["gemini"].reconciled == []
    assert world.row(batch).cancel_doubt


async def test_one_id_at_two_servers_is_two_jobs(moved: Moved) -> None:
    world = moved.world
    batch = world.add(name="here", running=math.inf)
    await world.sync()
    old = world.row(batch)
    await moved.move()
    account = world.config.account("openai")
    assert account is not None
    # The other server gives its first batch the same id: its ids come from the same seed.
    twin = moved.other.openai.add_batch(BatchScript(name="there", total=3))
    assert twin == batch

    found = await find_remote(twin, [account], world.accounts, world.browser, world.work)

    assert found.row is not None
    assert found.row.id != old.id
    assert found.row.origin == moved.origins[1]
    (done,) = (await execute(world.plan(Action.CANCEL, [found.row]), world.work, lambda _o: None)).outcomes
    assert done.result is ActionResult.DONE
    assert world.browser.rows([old.id])[old.id].cancel_requested_at is None


async def test_an_address_written_another_way_is_the_same_server(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    first, *others = made_accounts(world.server)
    written = f"{first.base_url}/?tenant=1".replace("http://", "HTTP://")
    await world.with_accounts((replace(first, base_url=written), *others))

    assert (await world.one(Action.CANCEL, batch)).result is ActionResult.DONE
    assert world.calls("POST", CANCEL) == 1
