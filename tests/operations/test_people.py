"""Several people on one store: each account is a key, which only those who hold it use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from operations_kit import ALL_KEYS, World, made_accounts

from jobdash.domain.account import Account, Secret
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import ConfigError, KeyDiffers
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.keys import ALIVE_MS, fingerprint, in_store, others_alive, register_keys
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_actor
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.records import AccountKey
from jobdash.store.writer import Writer

ANN, BOB, NEW = "sk-canary-ann-0123456789", "sk-canary-bob-0123456789", "sk-canary-new-0123456789"


class People:
    """Persons who each have a process of their own on the store of a world."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch, stack: AsyncExitStack) -> None:
        self.world = world
        self._patch = patch
        self._stack = stack
        self.said: tuple[str, ...] = ()

    async def enter(self, user: str, key: str | None, *, host: str = "desk", **settings: object) -> World:
        """Begin a process of a person whose settings have an account ``openai``; registers its key."""
        (account,) = made_accounts(self.world.server, {"openai": key})
        return await self.enter_with(user, replace(account, **settings), host=host)  # type: ignore[arg-type]

    async def enter_with(self, user: str, *accounts: Account, host: str = "desk") -> World:
        self.be(user, host)
        world, stack = self.world, self._stack
        store = stack.enter_context(WriterThread(world.config.database, "test", world.ms))
        browser = stack.enter_context(Browser(world.config.database, world.ms))
        config = in_store(replace(world.config, accounts=accounts), browser)
        self.said = await register_keys(config, store)
        made = World(world.clock, world.emulator, world.server, config, store, browser, AccountClients(()))
        made.accounts = AccountClients(config.accounts, open_session=made.session)
        stack.push_async_exit(made.accounts)
        made.used = {each.name for each in config.accounts}
        return made

    def be(self, user: str, host: str = "desk") -> None:
        self._patch.setenv("LOGNAME", user)
        self._patch.setattr("jobdash.operations.person.current_host", lambda: host)


@pytest.fixture
async def people(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(world, monkeypatch, stack)


def add_batch(world: World, key: str, **settings: object) -> str:
    """Add a batch that only one key sees."""
    ALL_KEYS[key] = key
    return world.add(key, **settings)  # type: ignore[arg-type]


def names(world: World) -> list[str]:
    return [account.name for account in world.config.accounts]


# ── whose account it is ─────────────────────────────────────────────────────────────────────────────────────


async def test_two_keys_of_one_name_are_two_accounts_and_lose_no_job(people: People) -> None:
    ann = await people.enter("ann", ANN)
    bob = await people.enter("bob", BOB)
    (said,) = people.said
    assert said.startswith("openai is another key in this store (ann@desk): the account of this")
    assert said.endswith("is called openai-bob")
    hers, his = add_batch(people.world, ANN), add_batch(people.world, BOB)
    for _ in range(3):
        for one in (ann, bob):
            (report,) = (await one.sync(full=True)).values()
            assert report.error is None
            assert not report.gone
        people.world.pass_time(20 * 60)
    assert (ann.row(hers).account, ann.row(his).account) == ("openai", "openai-bob")
    assert not ann.row(hers).gone
    assert not ann.row(his).gone


async def test_a_key_keeps_its_account_in_later_processes_and_on_other_hosts(people: People) -> None:
    await people.enter("ann", ANN)
    await people.enter("bob", BOB)
    assert people.said
    for user, key, host, name in (
        ("bob", BOB, "desk", "openai-bob"),
        ("bob", BOB, "host-b", "openai-bob"),
        ("cyd", ANN, "host-b", "openai"),
        ("ann", ANN, "desk", "openai"),
    ):
        made = await people.enter(user, key, host=host)
        assert names(made) == [name], (user, host)
        assert people.said == (), "it was said once"


async def test_a_new_key_of_the_same_person_replaces_the_old_one(people: People) -> None:
    ann = await people.enter("ann", ANN)
    await ann.sync()
    again = await people.enter("ann", NEW)
    assert names(again) == ["openai"]
    (said,) = people.said
    assert said.startswith(
        "openai has a new key; its jobs stay with it. Where this is another project's key,"
    )
    (report,) = (await again.sync()).values()
    assert report.error is None
    # The process that began with the old key asks no more in this name.
    (late,) = (await ann.sync()).values()
    assert "another key now (ann@desk)" in str(late.error)
    health = again.browser.health("openai")
    assert health is not None
    assert health.error is None


async def test_two_keys_of_one_person_in_turn_declare_no_job_of_the_other_gone(people: People) -> None:
    first, second = add_batch(people.world, ANN), add_batch(people.world, NEW)
    made = await people.enter("ann", ANN)
    await made.sync()
    seen = made.row(first)
    submitted = RemoteJob(second, Status.IN_PROGRESS, "in_progress", "second", seen.created_at)
    for key, batch in (NEW, submitted), (ANN, None), (NEW, None):
        made = await people.enter("ann", key)
        if batch is not None:
            await made.store.write(Writer.upsert, "openai", "openai", seen.origin, (batch,), made.ms())
        for _ in range(2):
            (report,) = (await made.sync(full=True)).values()
            assert (report.error, report.gone) == (None, [])
            people.world.pass_time(10 * 60)
    outcome = await made.one(Action.CANCEL, first)
    assert outcome.result is ActionResult.FAILED
    assert outcome.reason == "not found (404) with the present key of openai: it was seen with another one"
    assert not made.row(first).gone
    assert made.row(second).account == "openai"


async def test_a_job_that_the_present_key_has_seen_becomes_gone(people: People) -> None:
    kept, lost = add_batch(people.world, ANN), add_batch(people.world, ANN)
    for key in (ANN, NEW, ANN):
        ann = await people.enter("ann", key)
        await ann.sync(full=True)
        people.world.pass_time(10 * 60)
    assert people.world.emulator.openai.remove_batch(lost, key=ANN)
    for _ in range(2):
        await ann.sync(full=True)
        people.world.pass_time(10 * 60)
    assert (ann.row(kept).gone, ann.row(lost).gone) == (False, True)


async def test_a_new_key_of_a_renamed_account_replaces_that_of_the_same_person_only(people: People) -> None:
    await people.enter("ann", ANN)
    await people.enter("bob", BOB)
    again = await people.enter("bob", NEW)
    assert names(again) == ["openai-bob"]
    assert people.said[0].startswith("openai-bob has a new key; its jobs stay with it.")
    third = await people.enter("bob", BOB, host="host-b")
    assert names(third) == ["openai-bob-2"], "another bob, as far as anybody can know"


async def test_one_key_sees_other_batches_in_another_project(people: People) -> None:
    await people.enter("ann", ANN, project="proj_1")
    bob = await people.enter("bob", ANN, project="proj_2")
    assert names(bob) == ["openai-bob"]


async def test_the_names_of_a_persons_own_accounts_are_never_taken(people: People) -> None:
    await people.enter("ann", ANN)
    server = people.world.server
    (first, second) = made_accounts(server, {"openai": BOB, "openai-bob": NEW})
    bob = await people.enter_with("bob", first, second)
    assert names(bob) == ["openai-bob-2", "openai-bob"]
    assert bob.config.name_in_store("openai") == "openai-bob-2"


async def test_who_is_slower_to_take_a_name_starts_again(people: People) -> None:
    ann = await people.enter("ann", ANN)
    with pytest.raises(KeyDiffers, match=r"openai is the account of another key now \(ann@desk\)"):
        await ann.store.write(Writer.register_keys, [AccountKey("openai", "openai", "0123abcd", "bob@desk")])


async def test_an_account_without_a_key_leaves_the_other_persons_alone(people: People) -> None:
    ann = await people.enter("ann", ANN)
    await ann.sync()
    bob = await people.enter("bob", None)
    assert names(bob) == []
    words = "needs the key of openai (ann@desk); OPENAI_KEY is not set here"
    assert bob.config.unusable_words == {"openai": words}
    health = ann.browser.health("openai")
    assert health is not None
    assert health.error is None


def test_a_fingerprint_tells_keys_apart_and_stores_apart(world: World) -> None:
    account = Account("openai", "openai", "K", Secret(ANN))
    mark = fingerprint(account, "secret")
    assert mark is not None
    assert len(mark) == 8
    assert fingerprint(account, "secret") == mark
    assert fingerprint(replace(account, api_key=Secret(BOB)), "secret") != mark
    assert fingerprint(account, "another store") != mark
    assert fingerprint(replace(account, api_key=None), "secret") is None
    assert len(world.browser.secret()) == 32


async def test_two_keys_that_see_the_same_batches_leave_each_job_to_its_account(people: People) -> None:
    """As two keys of one organization do: whoever found a job first has it."""
    ann = await people.enter("ann", ANN)
    bob = await people.enter("bob", BOB)
    shared = add_batch(people.world, ANN)
    await ann.sync()
    seen = ann.row(shared)
    also = RemoteJob(shared, Status.IN_PROGRESS, "in_progress", seen.name, seen.created_at)

    async def listed(by: World) -> str:
        (name,) = names(by)
        configured = by.work.configured
        await by.store.write(
            Writer.upsert, name, "openai", seen.origin, (also,), by.ms(), configured=configured
        )
        return ann.row(shared).account

    assert await listed(bob) == "openai"
    assert await listed(bob) == "openai"
    people.be("ann")
    assert others_alive(ann.browser) == {"openai-bob"}, "though he came later"
    people.world.pass_time(ALIVE_MS / 1000 + 60)
    later = await people.enter("bob", BOB)
    assert await listed(later) == "openai-bob", "nobody has asked the other for a week"


# ── what the others can do ──────────────────────────────────────────────────────────────────────────────────


async def test_only_who_holds_the_key_cancels_and_deletes(people: People) -> None:
    ann = await people.enter("ann", ANN)
    hers = add_batch(people.world, ANN)
    ended = add_batch(people.world, ANN, age=3 * 3600.0, running=60.0)
    await ann.sync()
    bob = await people.enter("bob", BOB)
    needs = "needs the key of openai (ann@desk)"
    before = people.world.calls()
    refused = (
        (Action.CANCEL, hers, {}),
        (Action.REMOVE, hers, {"cancel_first": True}),
        (Action.REMOVE, ended, {"remote": True}),
        (Action.RETRY, ended, {}),
    )
    for action, job, choices in refused:
        outcome = await bob.one(action, job, **choices)
        assert outcome.refused, (action, outcome)
        assert needs in outcome.reason
    with pytest.raises(ConfigError, match=r"needs the key of openai \(ann@desk\)"):
        bob.work.caller(bob.row(hers))
    failed = await bob.one(Action.FORCE_FAIL, hers)
    assert failed.result is ActionResult.DONE
    assert needs in failed.reason
    removed = await bob.one(Action.REMOVE, ended)
    assert removed.result is ActionResult.DONE
    assert bob.row(hers).status is Status.FAILED
    assert bob.row(ended).removed_at is not None
    assert people.world.calls() == before, "nothing was asked with the wrong key"


async def test_the_store_holds_no_key(people: People) -> None:
    ann = await people.enter("ann", ANN)
    await ann.sync()
    actor = current_actor("test")
    known = ann.browser.health("openai")
    assert known is not None
    assert known.polled_by == actor.name == "ann@desk"
    assert known.fingerprint
    assert known.fingerprint not in ANN
