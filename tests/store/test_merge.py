"""What an answer may change in a known job."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import pytest
from store_kit import START, one, remote, remote_error

from jobdash.domain.fields import ProviderFields
from jobdash.domain.status import TERMINAL, Status
from jobdash.store.merge import (
    KNOWN_COLUMNS,
    MOST_ERRORS,
    SnapshotSource,
    changed_columns,
    merge,
    stored_errors,
)
from jobdash.store.reader import Reader
from jobdash.store.sanitize import stored
from jobdash.store.writer import Writer

SOURCE = SnapshotSource("openai", START, frozenset({"openai", "work"}))


def known(**more: Any) -> dict[str, Any]:
    job = dict.fromkeys(KNOWN_COLUMNS) | {
        "id": 1,
        "account": "openai",
        "cancel_doubt": 0,
        "seen_at": START - 1,
    }
    job |= changed_columns(remote()) | {"remote_id": "batch_1", "name": "BATCH_1"}
    return job | more


def test_the_same_answer_changes_nothing() -> None:
    assert merge(known(), remote(), SOURCE) == {}


def test_an_answer_asked_for_earlier_is_not_believed() -> None:
    assert merge(known(seen_at=START + 1), remote(status=Status.COMPLETED), SOURCE) is None
    assert merge(known(seen_at=START), remote(status=Status.COMPLETED), SOURCE)


@pytest.mark.parametrize("before", sorted(TERMINAL))
@pytest.mark.parametrize("after", list(Status))
def test_no_terminal_word_becomes_an_unfinished_one(before: Status, after: Status) -> None:
    changes = merge(known(remote_status=str(before)), remote(status=after), SOURCE)
    if after not in TERMINAL:
        assert changes is None
    else:
        assert changes is not None
        assert changes.get("remote_status", before) == after


def test_a_submit_that_failed_here_and_turns_up_at_the_provider_runs() -> None:
    job = known(remote_status="failed", raw_status="not submitted", remote_id=None, seen_at=None)
    changes = merge(job, remote(), SOURCE)
    assert changes is not None
    assert (changes["remote_id"], changes["remote_status"]) == ("batch_1", "in_progress")


def test_what_is_not_given_stays() -> None:
    full = {
        "total": 9,
        "failed": 2,
        "model": "gpt-x",
        "usage": '{"a":1}',
        "files": '{"input":"f"}',
        "error": "e",
    }
    assert merge(known(**full), remote(), SOURCE) == {}


def test_a_deleted_file_stays_deleted_though_its_provider_names_it() -> None:
    answer = remote(files={"input": "f", "output": "g"})
    assert merge(known(files='{"batch":null,"input":null}'), answer, SOURCE) == {
        "files": '{"batch":null,"input":null,"output":"g"}'
    }
    assert merge(known(files='{"input":null,"output":"g"}'), answer, SOURCE) == {}
    assert merge(known(files="{}"), answer, SOURCE) == {}, "as earlier versions wrote it"


def test_what_is_given_is_written() -> None:
    answer = remote(total=9, failed=0, usage={"b": 2, "a": 1}, errors=(remote_error("bad"),))
    assert merge(known(failed=1), answer, SOURCE) == {
        "total": 9,
        "failed": 0,
        "usage": '{"a":1,"b":2}',
        "errors": '[{"code":null,"line":null,"message":"bad","param":null}]',
        "error": "bad",
    }


@pytest.mark.parametrize("field", fields(ProviderFields), ids=lambda field: field.name)
def test_whatever_an_adapter_can_give_is_kept_and_follows_the_provider(
    writer: Writer, reader: Reader, field: Field[Any]
) -> None:
    values: tuple[Any, Any] = (3, 4) if "int" in str(field.type) else ("one", "two")
    first, second = values
    assert getattr(one(writer, reader, **{field.name: first}), field.name) == first
    assert getattr(one(writer, reader), field.name) == first
    assert getattr(one(writer, reader, **{field.name: second}), field.name) == second


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_that_cannot_be_is_left_out(number: int) -> None:
    assert merge(known(), remote(total=number, finished_at=number), SOURCE) == {}


@pytest.mark.parametrize(
    ("account", "not_found_at", "configured", "adopted"),
    [
        ("openai", None, {"openai"}, False),
        ("work", None, {"openai", "work"}, False),
        ("work", START, {"openai", "work"}, True),
        ("old name", None, {"openai", "work"}, True),
        ("old name", START, None, False),
    ],
)
def test_a_job_is_adopted_only_from_an_account_that_lost_it(
    account: str, not_found_at: int | None, configured: set[str] | None, adopted: bool
) -> None:
    job = known(account=account, not_found_at=not_found_at)
    changes = merge(job, remote(), SnapshotSource("openai", START, configured))
    assert changes is not None
    assert changes.get("account") == ("openai" if adopted else None)


def test_a_job_that_is_seen_again_is_not_gone() -> None:
    job = known(gone_at=START - 5, not_found_at=START - 9)
    assert merge(job, remote(), SOURCE) == {"gone_at": None, "not_found_at": None}


def test_the_name_follows_the_provider_unless_it_was_chosen_here() -> None:
    assert merge(known(), remote(name="new"), SOURCE) == {"name": "new"}
    assert merge(known(), remote(name=None), SOURCE) == {}
    assert merge(known(submit_key="k"), remote(name="new"), SOURCE) == {}


@pytest.mark.parametrize(
    ("status", "doubt"), [(Status.IN_PROGRESS, 1), (Status.CANCELLING, 0), (Status.CANCELLED, 0)]
)
def test_a_doubt_ends_when_the_provider_shows_cancelling_or_an_end(status: Status, doubt: int) -> None:
    changes = merge(known(cancel_doubt=1), remote(status=status), SOURCE)
    assert changes is not None
    assert changes.get("cancel_doubt", 1) == doubt


def test_long_texts_are_cut_secrets_hidden_and_half_characters_replaced() -> None:
    answer = remote(
        name="n",
        raw_status="w" * 5000,
        model="sk-abcdefghijklmnop",
        endpoint="/\ud800",
        errors=(remote_error("key AIzaabcdefghijklmnop " + "e" * 50_000),),
        metadata={f"key{n}": "sk-abcdefghijklmnop" for n in range(100)},
    )
    columns = changed_columns(answer)
    assert len(columns["raw_status"].encode()) == 1024
    assert columns["raw_status"].endswith("… (cut)")
    assert columns["model"] == "[secret]"
    assert columns["endpoint"] == "/?"
    assert len(columns["error"].encode()) == 16 * 1024
    assert columns["error"].startswith("key [secret] e")
    assert "sk-" not in columns["remote_metadata"]
    assert columns["remote_metadata"].count("[secret]") == 64


def test_no_more_errors_are_kept_than_anybody_reads() -> None:
    text = stored_errors([remote_error("x")] * (MOST_ERRORS + 5))
    assert text is not None
    assert text.count('"x"') == MOST_ERRORS


def test_an_enormous_usage_is_not_kept() -> None:
    assert "usage" not in changed_columns(remote(usage={"x": "y" * 20_000}))
    assert stored("ä" * 3, 100) == "äää"
