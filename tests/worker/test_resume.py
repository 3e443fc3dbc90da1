"""Which job a script's run continues, and that it is reported: real scripts, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from shared.slices import rest_slow
from worker_kit import REPOSITORY, Seen

from jobdash import track
from jobdash.worker.outcome import end_line

KEYED = """
import jobdash, sys
stop_at, *keys = sys.stdin.readline().split()
with jobdash.track(keys, {name}key=str{more}) as job:
    for item in job:
        with item:
            if item.value == stop_at: raise SystemExit("stopped")
            print(item.value, end=" ")
"""


@dataclass
class Runs:
    """Runs scripts from files of a folder."""

    folder: Path
    database: Path

    def run(
        self,
        stop_at: str,
        keys: str,
        *arguments: str,
        file: str = "run.py",
        code: str = KEYED,
        name: str = '"nightly", ',
        more: str = "",
    ) -> tuple[str, str]:
        """Run a script; return the items it did, and its standard error."""
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(code.replace("{name}", name).replace("{more}", more))
        return self.start([str(path), *arguments], f"{stop_at} {keys}\n")

    def start(self, words: list[str], given: str) -> tuple[str, str]:
        env = {
            **{word: os.environ[word] for word in ("PATH", "HOME") if word in os.environ},
            "PYTHONPATH": str(REPOSITORY),
            "JOBDASH_DATABASE": str(self.database),
            "JOBDASH_CONFIG": str(self.folder / "config.toml"),
        }
        done = subprocess.run(
            [sys.executable, *words], input=given, env=env, cwd=self.folder, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        return done.stdout.strip(), done.stderr


@pytest.fixture
def runs(path: Path, tmp_path: Path) -> Runs:
    return Runs(tmp_path, path)


def test_the_next_run_continues_and_reports_it_without_a_terminal(runs: Runs, seen: Seen) -> None:
    assert runs.run("c", "a b c d")[0] == "a b"
    did, err = runs.run("-", "a b c d")
    assert did == "c d"
    known_as = seen.job("nightly")["public_id"]
    assert err == f"jobdash: nightly ({known_as}) goes on: 2 of 4 done\n"


def test_two_scripts_with_one_name_in_two_folders_are_two_jobs(runs: Runs, seen: Seen) -> None:
    runs.run("c", "a b c d", file="one/run.py")
    first = seen.job("nightly")["public_id"]
    did, err = runs.run("-", "a b c d", file="two/run.py")
    assert did == "a b c d"
    assert f"{first} was left at 2 of 4 and is not continued: it is of another script, " in err
    assert f'To go on with it: resume="{first}"' in err
    assert runs.run("-", "a b c d", file="one/run.py")[0] == "c d"


def test_other_arguments_are_another_work(runs: Runs) -> None:
    runs.run("c", "a b c d", "--day", "monday")
    did, err = runs.run("-", "a b c d", "--day", "tuesday")
    assert did == "a b c d"
    assert "its command had other arguments" in err
    assert runs.run("-", "a b c d", "--day", "monday")[0] == "c d"


def test_other_keys_are_another_work(runs: Runs) -> None:
    runs.run("c", "a b c d")
    did, err = runs.run("-", "w x y a")
    assert did == "w x y a"
    assert "fewer than half of its keys are among those of this run" in err


def test_a_cancelled_run_behind_a_completed_one_of_other_keys_is_named(runs: Runs, seen: Seen) -> None:
    runs.run("c", "a b c d")
    first = seen.job("nightly")["public_id"]
    runs.run("-", "w x y z")
    second = seen.job("nightly")["public_id"]
    did, err = runs.run("-", "a b c d")
    assert did == "a b c d"
    assert err == (
        f"jobdash: nightly ({seen.job('nightly')['public_id']}) is a new job. {first} was left at 2 of 4 and"
        f" is not continued: a newer job with other keys, {second}, stands before it."
        f' To go on with it: resume="{first}"\n'
    )


def test_code_without_a_file_continues_nothing(runs: Runs, seen: Seen) -> None:
    code = KEYED.replace("{name}", "").replace("{more}", "")
    assert runs.start(["-c", code], "c a b c d\n")[0] == "a b"
    did, err = runs.start(["-c", code], "- a b c d\n")
    assert did == "a b c d"
    assert "code without a file continues nothing by itself" in err
    given = 'import jobdash\nfor x in jobdash.track([1, 2], "heredoc"): raise SystemExit(1)\n'
    for _ in range(2):
        runs.start(["-"], given)
    assert seen.ask("SELECT count(*), max(attempt) FROM job WHERE name = 'heredoc'") == [(2, 1)]


def test_the_end_of_code_without_a_file_promises_no_next_run(runs: Runs, seen: Seen) -> None:
    code = FAILING.replace("{more}", "")
    _, err = runs.start(["-c", code], "b\n")
    assert 'resume="failed"' not in err
    assert f'resume="{seen.job("paid")["public_id"]}"' in err
    for word, failed, rest in (
        ("cancelled", 0, 'is cancelled; a run with resume="k3f9" does the rest'),
        ("failed", 1, '1 of 4 failed; a run with resume="k3f9" tries it again and does the rest'),
    ):
        line = end_line("cells", "k3f9", word, failed, 4, keyed=True, startable=False, continues=False)
        assert line is not None
        assert line.endswith(rest)


def test_an_unnamed_loop_in_another_line_is_named(runs: Runs, seen: Seen) -> None:
    runs.run("c", "a b c d", name="")
    first = seen.ask("SELECT public_id, name FROM job")[0]
    did, err = runs.run("-", "a b c d", name="", code="\n" + KEYED)
    assert did == "a b c d"
    assert (
        f"{first[1]} ({first[0]}) was left at 2 of 4 and is not continued: it is of another line, 4." in err
    )
    did, _ = runs.run("-", "a b c d", name="", code="\n" + KEYED, more=f', resume="{first[0]}"')
    assert did == "c d"


def test_an_inner_loop_continues_none_of_its_own_process(runs: Runs, seen: Seen) -> None:
    code = """
import jobdash
for document in "abc":
    try:
        with jobdash.track(range(4), key=str) as job:
            for item in job:
                with item:
                    if (document, item.value) == ("a", 2): raise ValueError("bad page")
                    print(f"{document}{item.value}", end=" ")
    except ValueError: pass
"""
    did, err = runs.run("", "", code=code)
    assert did == "a0 a1 b0 b1 b2 b3 c0 c1 c2 c3"
    assert err.count("it ended in this very process") == 1


DOCUMENTS = """
import jobdash, sys
fails_at = sys.stdin.readline().strip()
def pages(document):
    with jobdash.track(range(3), {name}key=str) as job:
        for item in job:
            with item:
                at = f"{document}{item.value}"
                if at == fails_at: raise SystemExit(1)
                print(at, end=" ")
def plain():
    for document in "abc": pages(document)
def tracked():
    with jobdash.track("abc", "documents", key=str) as documents:
        for document in documents:
            with document: pages(document.value)
{more}()
"""


@pytest.mark.parametrize("name", rest_slow(["", '"pages", '], [""]))
def test_an_inner_loop_continues_that_of_its_own_document(runs: Runs, name: str) -> None:
    assert runs.run("b2", "", code=DOCUMENTS, name=name, more="tracked")[0] == "a0 a1 a2 b0 b1"
    assert runs.run("c1", "", code=DOCUMENTS, name=name, more="tracked")[0] == "b2 c0"
    assert runs.run("", "", code=DOCUMENTS, name=name, more="tracked")[0] == "c1 c2"


@pytest.mark.parametrize("name", rest_slow(["", '"pages", '], [""]))
def test_a_loop_that_is_called_again_and_again_continues_that_of_its_turn(runs: Runs, name: str) -> None:
    assert runs.run("b2", "", code=DOCUMENTS, name=name, more="plain")[0] == "a0 a1 a2 b0 b1"
    did, err = runs.run("", "", code=DOCUMENTS, name=name, more="plain")
    assert did == "a0 a1 a2 b2 c0 c1 c2"  # a is done again, as it was completed
    assert err.count("goes on: 2 of 3 done") == 1


def test_a_turn_that_is_another_document_s_skips_nothing_of_it(runs: Runs) -> None:
    """The next run leaves out the documents that are done, so that its turns are those of others."""
    code = DOCUMENTS.replace('document in "abc"', "document in sys.stdin.readline().strip()")
    fed = "from io import StringIO; import sys\nsys.stdin = StringIO({!r})\n"
    assert runs.run("", "", code=fed.format("b2\nabc\n") + code, more="plain")[0] == "a0 a1 a2 b0 b1"
    did, err = runs.run("", "", code=fed.format("-\nbcd\n") + code, more="plain")
    assert did == "b0 b1 b2 c0 c1 c2 d0 d1 d2"
    assert "was left at 2 of 3 and is not continued: its function, pages, was given something else" in err


def test_the_children_of_a_pool_continue_nothing_of_each_other(runs: Runs) -> None:
    code = """
import jobdash, sys
from multiprocessing import get_context
def pages(document):
    done = []
    try:
        with jobdash.track(range(4), "pages", key=str) as job:
            for item in job:
                with item:
                    if (document, item.value) == ("a", 2): raise ValueError("bad page")
                    done.append(item.value)
    except ValueError: pass
    return done
if __name__ == "__main__":
    for kind in ("fork", "spawn"):
        for document in "ab":
            with get_context(kind).Pool(1) as pool: print(*pool.map(pages, [document])[0], end=" ")
"""
    assert runs.run("", "", code=code)[0] == "0 1 0 1 2 3 0 1 0 1 2 3"


FAILING = """
import jobdash, sys
bad = sys.stdin.readline().split()
def call(key):
    if key in bad: raise RuntimeError("429")
    return {"answer": key}
with jobdash.track(list("abcd"), "paid", key=str, on_error="record"{more}) as job:
    print(*(one.key for one in job.map(call, workers=2, outcomes=True)))
"""


def test_failures_are_reported_with_the_way_to_do_only_them_again(runs: Runs, seen: Seen) -> None:
    _, err = runs.run("b", "d", code=FAILING)
    known_as = seen.job("paid")["public_id"]
    assert err == (
        f"jobdash: paid ({known_as}): 2 of 4 failed; again: jobdash retry {known_as} --start,"
        ' or run with resume="failed"\n'
    )
    did, err = runs.run("d", "", code=FAILING, more=', resume="failed"')
    assert sorted(did.split()) == ["b", "d"]
    assert err.startswith(f"jobdash: paid ({known_as}) goes on: 2 of 4 done, 2 failed are tried again\n")
    assert seen.counts("paid") == ("completed", 4, 3, 1)
    did, err = runs.run("", "", code=FAILING)  # without it all is done again, and that is reported first
    assert sorted(did.split()) == list("abcd")
    assert (
        f"{known_as} ended with 1 failed, and this run does everything again. To do only those: resume="
        in err
    )
    assert [
        json.loads(one) for (one,) in seen.ask("SELECT detail FROM item WHERE job_id = 2 ORDER BY key")
    ] == [{"answer": key} for key in "abcd"]


def test_failures_that_are_not_done_again_though_asked_for_are_explained(runs: Runs, seen: Seen) -> None:
    """Neither those of other keys, nor those that ended in this very process."""
    code = """
import jobdash, sys
_, *keys = sys.stdin.readline().split()
for _ in range(2):
    with jobdash.track(keys, "nightly", key=str, on_error="record", resume="failed") as job:
        for item in job:
            with item: raise ValueError("no such colour")
"""
    _, err = runs.run("-", "a b", code=code)
    first = seen.ask("SELECT public_id FROM job ORDER BY id")[0][0]
    assert f"{first} ended with 2 failed and is not continued: it ended in this very process. To go on" in err
    _, err = runs.run("-", "x y", code=code)
    assert f"{first} ended with 2 failed and is not continued: fewer than half of its keys" in err
    assert 'only those are with resume="failed"' not in err


def test_a_resume_that_names_no_job_stops_before_anything_is_done(path: Path, seen: Seen) -> None:
    with (
        pytest.raises(ValueError, match="no job of a script has this id"),
        track([1], "x", resume="abcdefgh"),
    ):
        raise AssertionError("nothing is to be done")
    with pytest.raises(ValueError, match="no job of a script has this id"):
        next(iter(track([1], "x", resume="abcdefgh")))
    with pytest.raises(TypeError, match="resume takes auto, never"):
        track([1], resume=7)  # type: ignore[arg-type]
    assert seen.ask("SELECT count(*) FROM job") == [(0,)]
