"""``jobdash cost`` and the costs that other commands print: of batches that real syncs have found."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

import pytest
from cli_kit import HOUR, KEYS, Cli

from jobdash.demo.emulator import BatchPlan, BatchScript, Timing

DAY = 24 * HOUR
PRICES = """
[prices."model-a"]
input = 10
output = 100

[prices."model-b"]
input = 0.5
output = 1.5
cached = 0.1
"""
EACH = 20 * 10 + 30 * 100
"""Millionths of a dollar of one request at model-a."""


def add(
    cli: Cli,
    account: str = "openai",
    model: str = "model-a",
    *,
    total: int = 100,
    age: float = 2 * HOUR,
    **more: Any,
) -> str:
    script = BatchScript(
        model=model,
        total=total,
        created_at=cli.clock.now() - age,
        plan=BatchPlan(timing=Timing(validating=1, running=60)),
        **more,
    )
    provider = cli.emulator.gemini if account == "gemini" else cli.emulator.openai
    return provider.add_batch(script, key=KEYS[account])


@pytest.fixture
def priced(cli: Cli) -> Cli:
    """A person with prices of their own."""
    cli.config.write_text(cli.config.read_text() + PRICES)
    return cli


def groups(cli: Cli, *args: str) -> dict[str | None, Any]:
    return {group["group"]: group["cost"] for group in cli.json("cost", *args)["groups"]}


def test_costs_are_summed_by_account_and_what_is_unknown_is_counted(priced: Cli) -> None:
    add(priced)
    add(priced, "work", total=10)
    add(priced, "work", "nobody-knows")
    priced("sync")
    ran = priced("cost")
    assert ran.code == 0
    head, *lines = (line.split() for line in ran.out.splitlines())
    assert head == ["ACCOUNT", "JOBS", "INPUT", "OUTPUT", "UNKNOWN", "COST"]
    assert lines == [
        ["openai", "1", "2,000", "3,000", "0", "$0.32"],
        ["work", "2", "2,200", "3,300", "1", "$0.03"],
        ["total", "3", "4,200", "6,300", "1", "$0.35"],
    ]
    assert ran.err.splitlines()[-1] == "1 job of unknown cost"


def test_the_document_has_dollars_and_null_for_what_is_unknown(priced: Cli) -> None:
    add(priced)
    add(priced, "work", "nobody-knows")
    priced("sync")
    document = priced.json("cost", "--by", "model")
    assert document["by"] == "model"
    assert document["since"] is None
    assert document["groups"][0] == {
        "group": "model-a",
        "jobs": 1,
        "unknown": 0,
        "input_tokens": 2_000,
        "cached_tokens": 0,
        "output_tokens": 3_000,
        "cost": 100 * EACH / 1e6,
        "cost_is_upper_bound": False,
    }
    assert (document["groups"][1]["cost"], document["groups"][1]["unknown"]) == (None, 1)
    assert (document["total"]["cost"], document["total"]["jobs"]) == (100 * EACH / 1e6, 2)


def test_an_upper_bound_stays_one_through_sums(priced: Cli) -> None:
    add(priced)
    add(priced, model="gpt-4o-search-preview")
    priced("sync")
    assert "≤ $0." in priced("cost").out.splitlines()[-1]
    assert priced.json("cost")["total"]["cost_is_upper_bound"] is True
    assert [group["cost_is_upper_bound"] for group in priced.json("cost", "--by", "model")["groups"]] == [
        False,
        True,
    ]


def test_every_grouping_adds_up_to_the_same_total(priced: Cli) -> None:
    for number, tags in enumerate(({"run": "1"}, {"run": "1", "team": "x"}, {"team": "x"}, {})):
        add(priced, total=10 + number, age=number * DAY + 2 * HOUR, metadata=tags)
    add(priced, "gemini", "model-b")
    priced("sync")
    totals = {}
    for by in ("account", "provider", "model", "day", "tag", "tag:run", "job"):
        document = priced.json("cost", "--by", by)
        assert document["by"] == by
        totals[by] = document["total"]
        assert sum(group["jobs"] for group in document["groups"]) == 5
    assert len({str(total) for total in totals.values()}) == 1
    assert groups(priced, "--by", "tag:run") == {"1": 21 * EACH / 1e6, None: 25 * EACH / 1e6}
    assert groups(priced, "--by", "tag", "-f", "account:openai") == {
        None: 13 * EACH / 1e6,
        "run=1": 10 * EACH / 1e6,
        "run=1, team=x": 11 * EACH / 1e6,
        "team=x": 12 * EACH / 1e6,
    }


def test_days_stand_in_their_order_and_jobs_have_names(priced: Cli) -> None:
    add(priced, name="old", age=3 * DAY)
    add(priced, name="young")
    priced("sync")
    days = [group["group"] for group in priced.json("cost", "--by", "day")["groups"]]
    oldest = datetime.fromtimestamp(priced.clock.now() - 3 * DAY).astimezone()
    assert days == sorted(days)
    assert days[0] == f"{oldest:%Y-%m-%d}"
    jobs = priced.json("cost", "--by", "job")["groups"]
    assert {job["name"] for job in jobs} == {"old", "young"}
    assert "young" in priced("cost", "--by", "job").out


def test_only_young_jobs_and_those_of_a_filter_or_account(priced: Cli) -> None:
    add(priced, age=3 * DAY)
    add(priced, total=10)
    add(priced, "work", total=1)
    priced("sync")
    assert groups(priced, "--since", "1d") == {"openai": 10 * EACH / 1e6, "work": EACH / 1e6}
    assert groups(priced, "--account", "work") == {"work": EACH / 1e6}
    assert groups(priced, "-f", "cost>0.1") == {"openai": 100 * EACH / 1e6}
    assert groups(priced, "-f", "tokens<100") == {"work": EACH / 1e6}
    assert "no batch to sum" in priced("cost", "-f", "name:nothing").err


def test_a_removed_batch_was_paid_all_the_same(priced: Cli) -> None:
    remote = add(priced)
    priced("sync")
    assert priced("remove", remote, "--yes").code == 0
    assert groups(priced) == {"openai": 100 * EACH / 1e6}
    assert groups(priced, "-f", "removed:no") == {}


def test_other_prices_hold_for_what_is_known_when_it_is_priced_anew(priced: Cli) -> None:
    add(priced)
    priced("sync")
    priced.config.write_text(priced.config.read_text().replace("output = 100", "output = 200"))
    assert groups(priced) == {"openai": 100 * EACH / 1e6}
    ran = priced("cost", "--reprice")
    assert "priced anew: 1 job, 1 changed" in ran.err
    assert groups(priced) == {"openai": 100 * (20 * 10 + 30 * 200) / 1e6}


def test_list_show_and_csv_have_cost_and_tokens(priced: Cli) -> None:
    remote = add(priced)
    unknown = add(priced, model="nobody-knows")
    priced("sync")
    jobs = {job["remote_id"]: job for job in priced.json("list")["jobs"]}
    one = jobs[remote]
    assert (one["cost"], one["cost_is_upper_bound"]) == (100 * EACH / 1e6, False)
    tokens = (one["input_tokens"], one["output_tokens"], one["cached_tokens"], one["tokens"])
    assert tokens == (2_000, 3_000, 0, 5_000)
    assert (jobs[unknown]["cost"], jobs[unknown]["cost_is_upper_bound"]) == (None, None)
    rows = {row["remote_id"]: row for row in csv.DictReader(io.StringIO(priced("list", "--csv").out))}
    assert (rows[remote]["cost"], rows[remote]["tokens"], rows[unknown]["cost"]) == ("0.32", "5000", "")
    bounds = [rows[each]["cost_is_upper_bound"] for each in (remote, unknown)]
    assert bounds == ["false", ""]
    shown = priced("show", remote).out
    assert "Cost" in shown
    assert "$0.32" in shown
    assert "2,000 in · 3,000 out" in shown
    assert "Cost" not in priced("show", unknown).out
    assert [job["remote_id"] for job in priced.json("list", "--sort", "-cost")["jobs"]] == [remote, unknown]


def test_a_store_of_before_there_were_costs_is_priced_without_a_sync(priced: Cli) -> None:
    from contextlib import closing
    from sqlite3 import connect

    add(priced)
    priced("sync")
    with closing(connect(priced.database, isolation_level=None)) as store:
        store.execute("UPDATE job SET cost = NULL, cost_stale = 1")
    assert groups(priced) == {"openai": 100 * EACH / 1e6}


@pytest.mark.parametrize("by", ["week", "tag:", "model:x", ""])
def test_what_cannot_be_summed_by_is_wrong_usage(cli: Cli, by: str) -> None:
    ran = cli("cost", "--by", by)
    assert ran.code == 2
    assert "there are account, provider, model, day, tag, job, and tag:KEY" in ran.err


def test_names_from_outside_are_shown_as_text(priced: Cli) -> None:
    add(priced, metadata={"run": "\x1b[31mred\x1b[0m"})
    priced("sync")
    for by in ("tag", "tag:run"):
        out = priced("cost", "--by", by).out
        assert "\x1b" not in out
        assert "red" in out


def test_with_a_mistake_in_the_prices_nothing_is_priced_until_it_is_mended(priced: Cli) -> None:
    add(priced, total=100)
    text = priced.config.read_text()
    priced.config.write_text(text.replace("input = 10\n", 'input = "ten"\n'))
    assert priced("sync").code == 0
    ran = priced("cost")
    assert ran.code == 0
    words = '[prices] is not used: [prices."model-a"] input has to be a number'
    assert words in ran.err
    assert "unknown cost until [prices] can be used" in ran.err
    assert groups(priced) == {"openai": None}
    ran = priced("cost", "--reprice")
    assert (ran.code, ran.out) == (5, "")
    assert words in ran.err.splitlines()[-1]
    priced.config.write_text(text)
    assert groups(priced) == {"openai": 100 * EACH / 1_000_000}
