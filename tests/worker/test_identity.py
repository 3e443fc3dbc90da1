"""Which job a run joins and which item is which: two that differ are never taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worker_kit import Scripts, Seen

from jobdash import track
from jobdash.worker.item_encoding import kept_key

UNNAMED = """
    did = []
    with jobdash.track(range(4), key=str) as job:
        for item in job:
            with item:
                if item.value == int(sys.stdin.readline()): raise ValueError("left")
                did.append(item.value)
    print(*did)
    """


def left_at(name: str, number: int) -> list[int]:
    did = []
    with track(range(5), name, key=str, resume="always") as job:
        for item in job:
            if item.value == number:
                break
            with item:
                did.append(item.value)
    return did


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fit sk-abcdefghijklm1", "fit sk-abcdefghijklm2"),
        ("x" * 1100 + "a", "x" * 1100 + "b"),
        ("half \udcff", "half \udcfe"),
        ("half \udcff", "half ?"),
    ],
)
def test_names_that_cannot_be_kept_as_they_are_stay_two(seen: Seen, one: str, other: str) -> None:
    assert left_at(one, 3) == [0, 1, 2]
    assert left_at(other, 99) == [0, 1, 2, 3, 4]
    assert left_at(one, 99) == [3, 4]
    names = [name for (name,) in seen.ask("SELECT name FROM job ORDER BY id")]
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 1024 for name in names)
    assert "abcdefgh" not in "".join(names)


def test_unnamed_jobs_of_two_scripts_with_one_file_name_are_two(
    scripts: Scripts, seen: Seen, tmp_path: Path
) -> None:
    def run(folder: str, left_at: int) -> list[str]:
        (tmp_path / folder).mkdir(exist_ok=True)
        script = scripts.start(UNNAMED, name=f"{folder}/main.py")
        assert script.process.stdin is not None
        script.process.stdin.write(f"{left_at}\n" * 4)
        script.process.stdin.flush()
        script.finish()
        return script.out

    assert run("a", 2) == []
    assert run("b", 9) == ["0 1 2 3"]
    assert run("a", 9) == ["2 3"]
    assert seen.ask("SELECT name, attempt, status FROM job ORDER BY id") == [
        ("main.py:4", 2, "completed"),
        ("main.py:4", 1, "completed"),
    ]
    metadata = [json.loads(words) for (words,) in seen.ask("SELECT remote_metadata FROM job ORDER BY id")]
    assert [Path(words["script"]).parent.name for words in metadata] == ["a", "b"]


class Row:
    """An object whose text is its place in memory."""


@pytest.mark.parametrize("key", [lambda row: row, str, repr, lambda row: (1, row), lambda _row: {"a", "b"}])
def test_a_key_that_is_another_in_every_run_is_refused(key: object, seen: Seen) -> None:
    with pytest.raises(TypeError, match="key= has to return the same"), track([Row()], "rows", key=key):  # type: ignore[arg-type]
        pass
    assert seen.counts("rows") == ("failed", 1, 0, 0)


def test_keys_with_half_characters_stay_different() -> None:
    keys = [kept_key(key) for key in ("b\udcff", "b\udcfe", r"b\udcff", "b?")]
    assert len(set(keys)) == 4
    assert keys[2:] == [r"b\udcff", "b?"]


def test_items_with_the_key_of_another_are_reported_at_the_end(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[object] = [None, None, 1, "1", 2]
    for again in range(2):
        did: list[object] = []
        with track(rows, "none", key=lambda row: row, resume="always") as job:
            for item in job:
                with item:
                    did.append(item.value)
                if not again:
                    break
            else:
                assert list(job) == []  # a second time through is no news
        assert did == [[None], [1, 2]][again]
        err = capsys.readouterr().err
        repeated = "jobdash: 1 item of none with the key of another not done, one of them 1\n"
        goes_on = f"jobdash: none ({job.id}) goes on: 1 of 5 done\n"
        assert err == ("" if not again else goes_on + repeated)
    assert seen.counts("none") == ("completed", 3, 3, 0)


def test_a_job_that_cannot_be_continued_is_reported(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    loop = iter(track(range(9), "mix"))
    next(loop)
    del loop
    seen.ask("UPDATE job SET remote_status = 'pending', finished_at = NULL")
    waiting = seen.job("mix")["public_id"]
    for _ in range(2):
        assert left_at("mix", 99) == [0, 1, 2, 3, 4]
        err = capsys.readouterr().err
        if err:
            assert err == (
                f"jobdash: mix ({seen.job('mix')['public_id']}) is a new job. {waiting} was left at 0 of 9"
                " and is not continued: it only counts, and this run has key=."
                f' To go on with it: resume="{waiting}"\n'
            )
            waiting = ""
    assert waiting == ""
