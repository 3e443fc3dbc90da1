"""`jobdash.batches` while a provider cannot be asked: old states never pass for new ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cli_kit import HOUR, KEYS, Cli

from jobdash import batches
from jobdash.demo.emulator import Delay, ErrorAnswer
from jobdash.errors import ConfigError, ProviderError

BROKEN = ErrorAnswer(400)
"""Unlike a 500, it is not asked for again, which takes seconds."""


def test_a_get_says_that_its_account_could_not_be_asked(cli: Cli) -> None:
    known = batches.get(cli.add(name="nightly"))
    assert known.seen_at is not None
    cli.fault(BROKEN)
    with pytest.raises(batches.NotCurrent, match="from before: openai could not be asked: ") as raised:
        batches.get(known)
    assert raised.value.batches == (known,)
    assert isinstance(raised.value.errors["openai"], ProviderError)
    assert raised.value.__cause__ is raised.value.errors["openai"]
    assert batches.get(known, sync=False) == known


def test_a_get_of_a_batch_that_has_ended_asks_nobody(cli: Cli) -> None:
    ended = batches.get(cli.add_finished(name="nightly"))
    cli.fault(BROKEN)
    assert batches.get(ended) == ended


def test_a_get_goes_by_the_batch_where_the_list_alone_is_out_of_order(cli: Cli) -> None:
    known = batches.get(cli.add(name="nightly"))
    cli.clock.advance(HOUR)
    cli.fault(BROKEN, "/v1/batches", "GET")
    assert batches.get(known).finished


def test_a_batch_of_an_account_that_is_gone_is_not_current(cli: Cli) -> None:
    known = batches.get(cli.add("work", name="nightly"))
    cli.config.write_text("")
    with pytest.raises(batches.NotCurrent, match="work could not be asked: account work is not configured"):
        batches.get(known)
    with pytest.raises(batches.NotCurrent):
        batches.resume(known)


def test_a_list_says_which_account_could_not_be_asked_and_has_the_others(cli: Cli) -> None:
    cli.add("gemini", name="old")
    batches.list(sync=True)
    cli.fault(ErrorAnswer(401), key=KEYS["openai"])
    cli.add("gemini", name="new")
    with pytest.raises(batches.NotCurrent) as raised:
        batches.list(sync=True)
    assert list(raised.value.errors) == ["openai"]
    assert [batch.name for batch in raised.value.batches] == ["new", "old"]
    assert len(batches.list()) == 2


def test_a_list_without_an_account_to_ask_is_a_fault_of_the_settings(cli: Cli) -> None:
    cli.config.write_text("")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        cli.patch.delenv(name)
    assert batches.list() == []
    with pytest.raises(ConfigError, match="no account is configured"):
        batches.list(sync=True)


def test_a_wait_that_runs_out_has_the_batches_and_the_reason(cli: Cli) -> None:
    known = batches.get(cli.add(name="nightly"))
    ended = batches.get(cli.add_finished("gemini", name="other"))
    cli.fault(BROKEN)
    cli("sync")
    with pytest.raises(
        TimeoutError, match=r"1 of 2 batches have not ended in 0\.5 s; openai could"
    ) as raised:
        batches.wait(known, ended, timeout=0.5)
    assert isinstance(raised.value, batches.WaitTimeout)
    assert [batch.id for batch in raised.value.batches] == [known.id, ended.id]
    assert list(raised.value.errors) == ["openai"]


def test_a_wait_for_an_account_that_does_not_answer_names_it(cli: Cli) -> None:
    made: Any = batches.submit(
        [{"custom_id": "r1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}],
        account="openai",
    )
    cli.fault(Delay(30))
    began = time.monotonic()
    with pytest.raises(batches.WaitTimeout, match="openai could not be asked: no answer yet"):
        batches.wait(made, timeout=1.5)
    assert time.monotonic() - began < 10


def test_a_wait_whose_account_answers_has_no_reason(cli: Cli) -> None:
    with pytest.raises(batches.WaitTimeout) as raised:
        batches.wait(cli.add(name="nightly"), timeout=0.3)
    assert (raised.value.errors, raised.value.__cause__) == ({}, None)
