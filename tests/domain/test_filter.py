"""The filter language: what it accepts, where it complains, and that a job and the store agree on it."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from domain_kit import DAY, HOUR, MINUTE, NOW, job
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobdash.domain.attention import AttentionReason
from jobdash.domain.filter.language import FIELDS, parse
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.status import FORCE_FAILED, Status
from jobdash.errors import FilterError
from jobdash.store.bootstrap import ensure_store
from jobdash.store.reader import Reader
from jobdash.store.sort_orders import Scope, Sort

# ── what a filter means, job by job ────────────────────────────────────────────────────────────────────────

ROW = job(
    name="Nightly Eval",
    account="work",
    model="gpt-x-mini",
    endpoint="/v1/embeddings",
    error="Rate limit: 50% of 100_000",
    created_at=NOW - 2 * HOUR,
)
TAGS = {"team": "search", "nightly": "yes"}
BARE = job(
    name="", remote_id=None, model=None, endpoint=None, error=None, total=None, failed=None, succeeded=None
)


def passes(text: str, row: JobRow = ROW, tags: dict[str, str] | None = None) -> bool:
    return parse(text).matches(row, TAGS if tags is None else tags, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "nightly",
        "NIGHTLY eval",
        '"nightly eval"',
        "batch_1",
        "k3f9",
        "id:k3f",
        "id:batch_",
        "id=batch_1",
        "id!=other",
        "name:night",
        "name='Nightly Eval'",
        "name:foo,eval",
        "-name:foo",
        "name!=nightly",  # not equal is about the whole, so a part is no match
        "account:work",
        "account!=openai",
        "account:openai,work",
        "provider=openai",
        "status:running",
        "status:in_progress",
        "status:unfinished",
        "status:failed,running",
        "-status:finished",
        "model:gpt",
        "endpoint:embeddings",
        "error:50%",
        "error:100_000",
        "total:100",
        "total=100",
        "total>99",
        "total>=100",
        "total<101",
        "total<=100",
        "total!=99",
        "total>1_0",
        "failed>0",
        "older:1h",
        "newer:3h",
        "age>1h",
        "age<3h",
        "age>=2h",
        "-older:3h",
        "created<2027-01-16",
        "created>2027-01-14",
        "tag:nightly",
        "tag:search",
        "tag:team=search",
        "tag:none,team",
        "-tag:other",
        "removed:no",
        "-removed:yes",
        "fetched:no",
        "fetched!=yes",
        "outcome!=ok",
        "status:running account:work older:1h failed>0 tag:nightly",
        "STATUS:running",
    ],
)
def test_what_this_job_passes(text: str) -> None:
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "weekly",
        "-nightly",
        "id:3f9",
        "name:foo",
        "name=nightly",
        "name='nightly eval'",
        "-name:eval",
        "account:Work",
        "account!=work",
        "status:finished",
        "status:gone",
        "status!=running",
        "total>100",
        "total!=100",
        "failed<1",
        "older:3h",
        "newer:1h",
        "age<2h",
        "tag:team=nightly",
        "-tag:team",
        "removed:yes",
        "fetched:yes",
        "outcome:ok",
        "error:50_",
        "nightly weekly",
        "created:2027-01-14",
    ],
)
def test_what_it_does_not_pass(text: str) -> None:
    assert not passes(text)


def test_what_is_unknown_passes_no_comparison_and_every_negation() -> None:
    for text in (
        "total>0",
        "total<1",
        "total:0",
        "failed:0",
        "model:gpt",
        "model=x",
        "error:x",
        "id=batch_1",
    ):
        assert not passes(text, BARE, {})
        assert passes(f"-{text}", BARE, {})


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_a_day_is_a_whole_day_in_local_time(zone: str) -> None:
    day = datetime(2026, 11, 1, tzinfo=ZoneInfo(zone))
    start = int(day.timestamp() * 1000)
    end = start + DAY + (HOUR if zone == "America/New_York" else 0)  # where the clocks go back that day
    for created, inside in ((start - 1, False), (start, True), (end - 1, True), (end, False)):
        assert passes("created:2026-11-01", job(created_at=created)) is inside
    assert passes("created>2026-10-31", job(created_at=start))
    assert not passes("created>=2026-11-01", job(created_at=start - 1))
    utc = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
    for text in ("created>=2026-11-01T00:00Z", "created>=2026-11-01T02:00+02:00"):
        assert passes(text, job(created_at=utc))
        assert not passes(text, job(created_at=utc - 1))
    for created, inside in ((start, True), (start + MINUTE - 1, True), (start + MINUTE, False)):
        assert passes("created:2026-11-01T00:00", job(created_at=created)) is inside


def test_gone_is_a_word_for_jobs_their_provider_lost() -> None:
    assert passes("status:gone", job(gone_at=NOW))
    assert not passes("status:gone", job(Status.FAILED, gone_at=NOW))
    assert passes("status:gone,failed", job(Status.FAILED))


def test_outcomes() -> None:
    for text, good, bad in (("ok", 5, 0), ("partial", 5, 1), ("all_failed", 0, 5), ("all-failed", None, 5)):
        assert passes(f"outcome:{text}", job(Status.COMPLETED, succeeded=good, failed=bad))
    assert not passes("outcome:ok", job(Status.COMPLETED, succeeded=None, failed=None))


@pytest.mark.parametrize("word", [str(status) for status in Status])
def test_every_status_can_be_asked_for(word: str) -> None:
    assert passes(f"status:{word}", job(Status(word)))
    assert not passes(f"-status:{word}", job(Status(word)))


def test_a_byte_that_is_no_text_is_looked_for_as_a_question_mark() -> None:
    assert passes("what\udcff", job(name="What?"))
    assert parse("\ud800 name:a\udfff,b").text == "? name:a?,b"


def test_whether_a_filter_scans_and_whether_it_asks_for_removed_jobs() -> None:
    assert parse("").empty
    assert parse("nightly").free_text
    assert parse("-name:x").free_text
    assert not parse("id:k3f status:failed total>1").free_text
    assert parse("-removed:no").removed
    assert not parse("status:failed").removed
    assert parse("  a b ").text == "a b"


# ── complaints ─────────────────────────────────────────────────────────────────────────────────────────────

THERE_ARE = ", ".join(FIELDS)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("stauts:failed", 0, f"no field 'stauts'; there are {THERE_ARE} (at character 1)"),
        ("see http://x", 4, f"no field 'http'; there are {THERE_ARE} (at character 5)"),
        ("a b colour:red", 4, f"no field 'colour'; there are {THERE_ARE} (at character 5)"),
        ("x status:done", 2, "no status 'done'; there are pending, validating"),
        ("status:", 0, "status: wants a value (at character 1)"),
        ("account:a,,b", 0, "account: wants a value (at character 1)"),
        ("account:a,", 0, "account: wants a value (at character 1)"),
        ('x name:"abc', 7, "a quote is not closed (at character 8)"),
        ("it's", 2, "a quote is not closed (at character 3)"),
        ("a\0b", 1, "a filter cannot hold the character NUL (at character 2)"),
        (f"x {'y' * 60_000}", 2, "that is too long: at most 2,000 characters (at character 3)"),
        (f"name:a,{'y' * 60_000}", 0, "that is too long: at most 2,000 characters (at character 1)"),
        (",".join(["id:a", *("b" * 20_000)]), 0, "the filter is too long (at character 1)"),
        ("status>failed", 0, "status cannot be compared with >; use status:value (at character 1)"),
        ("name<3", 0, "name cannot be compared with <; use name:value (at character 1)"),
        ("total:many", 0, "total: wants a number (at character 1)"),
        ("failed>1.5", 0, "failed> wants a number (at character 1)"),
        (f"total>{'9' * 30}", 0, "total>: that number is too large (at character 1)"),
        (f"total>{'9' * 1900}", 0, "total>: that number is too large (at character 1)"),
        ("older:soon", 0, "'soon' is not a span of time (like 30s, 5m, 2h, 3d) (at character 1)"),
        (f"older:{'9' * 400}", 0, "is too long: at most 36500d (at character 1)"),
        (f"older:{'9' * 25}d", 0, "is too long: at most 36500d (at character 1)"),
        ("age:2h", 0, "age wants < or > (or say older:2h, newer:2h) (at character 1)"),
        ("older>2h", 0, "older cannot be compared with >; use older:value (at character 1)"),
        ("created:monday", 0, "created wants a date like 2026-11-01 or 2026-11-01T12:00 (at character 1)"),
        ("outcome:good", 0, "no outcome 'good'; there are ok, partial, all_failed (at character 1)"),
        ("removed:maybe", 0, "removed: wants yes or no (at character 1)"),
        ("attention:soon", 0, "no reason 'soon'; there are yes, no, any, failed, stalled, pending_long"),
        ("attention:no,failed", 0, "attention:no stands alone (at character 1)"),
        ("attention>1", 0, "attention cannot be compared with >; use attention:value (at character 1)"),
        ("removed:yes,no", 0, "removed: wants yes or no (at character 1)"),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_a_way_out(text: str, position: int, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert (caught.value.text, caught.value.position, caught.value.exit_code) == (text, position, 2)


# ── a job and the store agree ──────────────────────────────────────────────────────────────────────────────

PIECES = (
    "nightly",
    "Nightly",
    "eval",
    "%",
    "_",
    "\\",
    "É",
    "é",
    "ß",
    "ſ",
    "K",
    "商品",
    "🚀",
    "'",
    '"',
    " ",
    ",",
    "\x1b",
    "\x00",
)
ACCOUNTS = ("openai", "work", "Work", "")


class Shelf:
    """A real store full of odd jobs, and what its rows look like from here."""

    def __init__(self, store: sqlite3.Connection, reader: Reader, jobs: dict[int, JobDetails]) -> None:
        self.store = store
        self.reader = reader
        self.jobs = jobs

    def here(self, text: str) -> set[int]:
        conditions = parse(text)
        return {
            id_ for id_, job in self.jobs.items() if conditions.matches(job.row, job.tags, NOW, job.attention)
        }

    def there(self, text: str) -> set[int]:
        conditions = parse(text)
        fragment, values = conditions.sql(NOW, self.reader.reasons_in(Scope(conditions=conditions)))
        return {id_ for (id_,) in self.store.execute(f"SELECT id FROM job WHERE {fragment}", values)}


def _record(number: int, dice: random.Random) -> dict[str, Any]:
    status = dice.choice(list(Status))
    total = dice.choice([None, 0, 1, 10, 100])
    return {
        "public_id": f"{number:08}",
        "provider": dice.choice(["openai", "gemini"]),
        "account": dice.choice(ACCOUNTS),
        "origin": "https://api.example/v1",
        "remote_id": dice.choice([None, f"batch_{number}", f"batches/{number}"]),
        "name": "".join(dice.choices(PIECES, k=dice.randint(0, 4))),
        "remote_status": str(status),
        "raw_status": dice.choice([str(status), str(status), "unconfirmed"]),
        "cancel_requested_at": dice.choice([None, NOW, NOW - DAY]),
        "verdict": dice.choice([None, None, FORCE_FAILED]),
        "model": dice.choice([None, "", "gpt-x", "GPT-X-mini"]),
        "endpoint": dice.choice([None, "/v1/embeddings"]),
        "total": total,
        "succeeded": dice.choice([None, 0, 5]),
        "failed": dice.choice([None, 0, 1, 5]),
        "error": dice.choice([None, "", "Rate limit: 50% of 100_000", "".join(dice.choices(PIECES, k=3))]),
        "created_at": NOW - dice.choice([-HOUR, 0, MINUTE, HOUR, 2 * HOUR, DAY, 40 * DAY, 400 * DAY]),
        "gone_at": dice.choice([None, None, NOW]),
        "removed_at": dice.choice([None, None, NOW]),
        "lease_until": dice.choice([None, NOW - 1, NOW, NOW + 1]),
        "updated_at": NOW - dice.choice([0, MINUTE, 2 * HOUR, 3 * HOUR, DAY, 6 * DAY, 7 * DAY, 40 * DAY]),
        "finished_at": dice.choice([None, None, NOW - HOUR, NOW - 8 * DAY]),
        "expires_at": dice.choice([None, NOW, NOW + 1, NOW + 2 * HOUR, NOW + DAY]),
        "results_expire_at": dice.choice([None, NOW, NOW + 1, NOW + DAY - 1, NOW + DAY]),
        "fetched_at": dice.choice([None, None, NOW]),
        "left_behind": dice.choice([None, None, None, "file-1 not deleted"]),
        "fetch_error": dice.choice([None, None, None, "the disk is full"]),
        "superseded_by": dice.choice([None, None, None, 1]),
    }


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    path = tmp_path_factory.mktemp("filters") / "jobs.db"
    ensure_store(path)
    dice = random.Random(7)
    with closing(sqlite3.connect(path)) as store:
        for number in range(300):
            record = _record(number, dice)
            marks = ", ".join("?" * len(record))
            made = store.execute(
                f"INSERT INTO job ({', '.join(record)}) VALUES ({marks})", list(record.values())
            )
            for key in dice.sample(["team", "nightly", "a=b", "É"], dice.randint(0, 3)):
                value = dice.choice(["search", "yes", "nightly", "c=d", ""])
                store.execute("INSERT INTO job_tag VALUES (?, ?, ?)", (made.lastrowid, key, value))
            if not number % 5:
                review = (
                    made.lastrowid,
                    NOW - dice.choice([0, HOUR, DAY]),
                    dice.choice([None, '["failed"]']),
                )
                store.execute("INSERT INTO review VALUES (?, ?, ?)", review)
        store.commit()
        with closing(Reader(path, lambda: NOW)) as reader:
            jobs = reader.jobs([row.id for row in reader.page(Scope(removed=True), Sort(), None, 1000)])
            assert len(jobs) == 300
            assert {reason for job in jobs.values() for reason in job.attention} == set(AttentionReason)
            yield Shelf(store, reader, jobs)


def quoted(value: str) -> str:
    """A value as a person would have to type it; it cannot hold both kinds of quotes, nor be empty."""
    plain = value.replace('"', "").replace("\0", "")
    return f'"{plain}"' if plain else '"x"'


VALUES = st.one_of(
    st.sampled_from(PIECES).map(quoted),
    st.text(st.sampled_from("aeNl%_\\Éß商 ,'0\x1b"), min_size=1, max_size=4).map(quoted),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=4).map(
        quoted
    ),
    st.sampled_from(["nightly", "work", "openai", "batch_", "00000", "gpt-x", "team"]),
    st.sampled_from(["a=b=c", "team=search", "=", "http://x", "-a"]).map(quoted),
)
WORDS_OF = {
    "status": [
        *map(str, Status),
        "running",
        "unfinished",
        "finished",
        "gone",
        "partial",
        "all_failed",
        '"all failed"',
        "stalled",
    ],
    "outcome": ["ok", "partial", "all_failed", "all-failed"],
    "provider": ["openai", "gemini", "other"],
    "account": [*filter(None, ACCOUNTS), "other"],
    "removed": ["yes", "no", "true", "0"],
    "attention": [*AttentionReason, "results-gone-soon", '"left behind"'],
}
NUMBERS = st.sampled_from(["0", "1", "5", "10", "1_0", "-1", "100", str(2**62)])
SPANS = st.sampled_from(["0", "30s", "1m", "1h", "2h", "1.5h", "1d", "400d", "52w"])
DATES = st.sampled_from(
    [
        "2027-01-15",
        "2027-01-15T08:00",
        "2026-12-06",
        "2025-12-11",
        "2027-01-15T08:00:00+02:00",
        "1969-01-01",
        "9999-12-31",
    ]
)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(",".join)


def field(name: str, ops: tuple[str, ...], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}{}{}".format, st.just(name), st.sampled_from(ops), several(values))


EQUAL = (":", "=", "!=")
ORDER = (">", "<", ">=", "<=")
TERMS = st.one_of(
    VALUES,
    *(field(name, EQUAL, VALUES) for name in ("name", "model", "endpoint", "error", "account", "id", "tag")),
    *(
        field(name, EQUAL, st.sampled_from(WORDS_OF[name]))
        for name in ("status", "outcome", "provider", "account", "attention")
    ),
    st.builds("attention{}{}".format, st.sampled_from(EQUAL), st.sampled_from(["yes", "any", "no"])),
    st.builds("removed{}{}".format, st.sampled_from(EQUAL), st.sampled_from(WORDS_OF["removed"])),
    *(field(name, (*EQUAL, *ORDER), NUMBERS) for name in ("total", "failed")),
    field("age", ORDER, SPANS),
    *(field(name, (":", "="), SPANS) for name in ("older", "newer")),
    field("created", (*EQUAL, *ORDER), DATES),
)
FILTERS = st.lists(st.builds("{}{}".format, st.sampled_from(["", "-"]), TERMS), max_size=3).map(" ".join)


@settings(max_examples=250)
@given(text=FILTERS)
@example(text='"k" "K"')
def test_a_job_passes_exactly_when_the_store_finds_it(shelf: Shelf, text: str) -> None:
    assert shelf.here(text) == shelf.there(text)


@settings(max_examples=150)
@given(term=TERMS)
def test_a_negation_lets_through_exactly_the_rest(shelf: Shelf, term: str) -> None:
    everything = set(shelf.jobs)
    assert shelf.there(f"-{term}") == everything - shelf.there(term)
    assert shelf.here(f"-{term}") == everything - shelf.here(term)


@settings(max_examples=200)
@given(text=st.text(max_size=40) | st.text("status:nameolder=!<>-\"',0 \t\x00", max_size=30))
def test_any_text_is_a_filter_or_a_complaint_with_a_place(shelf: Shelf, text: str) -> None:
    complaint: FilterError | None = None
    try:
        parse(text)
    except FilterError as error:
        complaint = error
    if complaint is None:
        assert shelf.here(text) == shelf.there(text)
    else:
        assert complaint.text == text
        assert 0 <= complaint.position <= len(text)


@pytest.mark.parametrize("count", [1, 400, 2_000])
def test_a_long_list_of_ids_is_a_filter_like_any_other(shelf: Shelf, count: int) -> None:  # A-12 B-17
    ids = ",".join(f"{number:08}" for number in range(count))
    for text in (f"id:{ids}", f"id={ids}", f"name:{ids}", f"total:{','.join(map(str, range(count)))}"):
        assert shelf.here(text) == shelf.there(text)
    assert len(shelf.there(f"id:{ids}")) == min(count, 300)


def test_the_longest_filters_are_looked_for_as_well(shelf: Shelf) -> None:
    for text in ("🚀" * 2_000, f"name:{'%' * 1_990}", " ".join(["-x"] * 1_200)):
        assert shelf.here(text) == shelf.there(text)


def test_one_kind_of_quotes_may_hold_the_other(shelf: Shelf) -> None:
    assert passes("""name:"it's" """, job(name="it's so"))
    assert passes("""'say "hi"'""", job(name='you say "hi"'))
    assert shelf.here('"\'"') == shelf.there('"\'"') != set()
