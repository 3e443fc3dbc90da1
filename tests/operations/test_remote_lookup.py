"""Finding: a provider's id that the store has never seen."""

from __future__ import annotations

from operations_kit import KEYS, World, made_accounts

from jobdash.demo.emulator import ErrorAnswer
from jobdash.errors import ConfigError, JobNotFound, ProviderError
from jobdash.operations.polling.remote_lookup import RemoteMatch, candidates, find_remote


async def found(world: World, word: str, only: tuple[str, ...] = ()) -> RemoteMatch:
    asked = candidates(word, world.config, only)
    return await find_remote(word, asked, world.accounts, world.browser, world.work)


async def test_a_batch_of_any_account_is_found_and_recorded(world: World) -> None:
    ours, theirs = world.add("work", name="crm"), world.add("gemini", name="poems")

    rows = [(await found(world, word)).row for word in (ours, theirs)]

    assert [row and (row.name, row.account) for row in rows] == [("crm", "work"), ("poems", "gemini")]
    assert world.browser.counts().total == 2


async def test_only_accounts_whose_ids_look_so_are_asked(world: World) -> None:
    assert [account.name for account in candidates("batches/x1", world.config)] == ["gemini"]
    assert [account.name for account in candidates("batch_x1", world.config)] == ["openai", "work"]
    assert [account.name for account in candidates("batch_x1", world.config, ("work",))] == ["work"]
    assert candidates("k3f9", world.config) == []


async def test_unknown_everywhere_is_no_such_job(world: World) -> None:
    # B-6 B-11
    answer = await found(world, "batch_nobody")

    assert isinstance(answer.error("batch_nobody"), JobNotFound)
    assert answer.asked == 2


async def test_an_account_that_cannot_be_asked_leaves_it_open(world: World) -> None:
    world.fault(ErrorAnswer(500), key=KEYS["work"])

    error = (await found(world, "batch_nobody")).error("batch_nobody")

    assert type(error) is ProviderError
    assert "work: " in str(error)


async def test_keys_that_are_all_rejected_are_a_matter_of_credentials(world: World) -> None:
    await world.with_accounts(made_accounts(world.server, {"openai": None, "work": KEYS["work"]}))
    world.fault(ErrorAnswer(401))

    error = (await found(world, "batch_nobody")).error("batch_nobody")

    assert isinstance(error, ConfigError)
