"""Job functions: what may be submitted, and what of it a worker is given."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worker_kit import Seen

import jobdash
from jobdash.errors import StoreMissing, UsageError
from jobdash.worker.functions import functions, load_functions


@jobdash.job
def double(number: int) -> int:
    return number * 2


@jobdash.job("painted", key=lambda item: item["path"], max_errors=3)
def paint(item: dict[str, Any]) -> None:
    del item


def test_a_job_function_is_still_a_function() -> None:
    assert double(21) == 42
    assert double.identity == f"{__name__}:double"
    assert functions[double.identity] is double
    assert (double.name, paint.name) == ("double", "painted")


def test_items_are_kept_as_json_in_parts(path: Path) -> None:
    sent = jobdash.submit(paint, [{"path": f"p{n}"} for n in range(120)], tags={"team": "x"})
    assert (sent.items, sent.parts) == (120, 3)
    assert Seen(path).ask("SELECT name, function, total, status FROM job") == [
        ("painted", paint.identity, 120, "pending")
    ]
    ((key, given),) = Seen(path).ask("SELECT key, given FROM item WHERE seq = 7")
    assert (key, json.loads(given)) == ("p7", {"path": "p7"})


def test_parts_can_be_chosen(path: Path) -> None:
    assert jobdash.submit(double, range(10), parts=4).parts == 4
    assert jobdash.submit(double, range(2), parts=4).parts == 2
    assert jobdash.submit(double, range(10_000)).parts == 64


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_in_which_nothing_is_to_be_seen_is_none(path: Path, name: str) -> None:
    jobdash.submit(double, [1], name=name)
    list(jobdash.track([1], name))
    names = [found for (found,) in Seen(path).ask("SELECT name FROM job ORDER BY id")]
    assert names[0] == "double"
    assert names[1].startswith("test_functions.py")


def test_a_store_that_is_named_is_made_and_no_folder_for_it(path: Path, tmp_path: Path) -> None:
    assert jobdash.submit(double, [1], db=tmp_path / "other.db").items == 1
    with pytest.raises(StoreMissing, match="no folder in which it could be made"):
        jobdash.submit(double, [1], db=tmp_path / "new" / "other.db")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("function", "items", "error", "words"),
    [
        (lambda x: x, [1], TypeError, "decorated by @jobdash.job"),
        (double, [], ValueError, "there are no items"),
        (double, [1, 2, 1], ValueError, "item 3 has the key '1', as an earlier one"),
        (double, [object()], TypeError, "item 1 cannot be given to a worker"),
        (double, ["x" * 20_000], ValueError, "item 1 cannot be given to a worker"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_made(
    path: Path, function: Any, items: list[Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        jobdash.submit(function, items)
    assert Seen(path).ask("SELECT count(*) FROM job") == [(0,)]


def test_a_function_that_workers_cannot_import_is_refused(path: Path) -> None:
    @jobdash.job
    def inside(number: int) -> int:
        return number

    with pytest.raises(ValueError, match="defined inside a function"):
        jobdash.submit(inside, [1])


def test_a_function_of_the_script_itself_is_refused(path: Path, tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text("import jobdash\n@jobdash.job\ndef f(x): return x\njobdash.submit(f, [1])\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "defined in the script itself" in ran.stderr


@pytest.mark.parametrize("values", [{"on_error": "ignore"}, {"on_error": "raise", "max_errors": 2}])
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"on_error"):
        jobdash.job(**values)


def test_modules_without_job_functions_are_refused() -> None:
    with pytest.raises(UsageError, match="module json has no job function"):
        load_functions(["json"])
    with pytest.raises(UsageError, match="module no_such_thing cannot be imported"):
        load_functions(["no_such_thing"])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken_a", "def f(:\n", "module broken_a cannot be imported: SyntaxError: "),
        ("broken_b", "1 / 0\n", "module broken_b cannot be imported: ZeroDivisionError: division by zero"),
        ("broken_c", "import sys\nsys.exit(3)\n", "module broken_c cannot be imported: SystemExit: 3"),
        ("broken_d", "import not_there\n", "cannot be imported: ModuleNotFoundError: No module named 'not_"),
        ("thumbs_e.py", "1 / 0\n", "thumbs_e.py: name the module, without .py: thumbs_e"),
        ("thumbs_f:thumb", "x = 1\n", "thumbs_f:thumb: name the module, without a function: thumbs_f"),
        (".x", "", "'.x' is not the name of a module"),
        ("", "", "'' is not the name of a module"),
        ("a/b.py", "", "'a/b.py' is not the name of a module"),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    stem = name.partition(":")[0].removesuffix(".py")
    if text:
        (tmp_path / f"{stem}.py").write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)):
        load_functions([name])


def test_an_async_function_is_refused_where_it_is_decorated() -> None:
    async def later(value: object) -> object:
        return value

    with pytest.raises(TypeError, match="later is an async def, which workers do not await"):
        jobdash.job(later)


def test_a_handle_waits_cancels_and_reads(path: Path) -> None:
    sent = jobdash.submit(double, [1, 2])
    with pytest.raises(TimeoutError, match="has not ended within 0 s"):
        sent.wait(0)
    assert [result.outcome for result in sent.results()] == ["waiting", "waiting"]
    sent.cancel()
    end = sent.wait(0)
    assert (end.status, end.succeeded, end.failed, end.total) == ("cancelled", 0, 0, 2)
    Seen(path).ask("UPDATE job SET removed_at = 1")
    with pytest.raises(LookupError, match="was removed"):
        sent.wait(0)


@pytest.mark.sqlite_only
def test_submitting_loads_no_engine_and_no_toolkit(path: Path) -> None:
    code = (
        "import sys, jobdash\n"
        f"sys.path.insert(0, {str(path.parent)!r})\n"
        "import fn\njobdash.submit(fn.f, [1])\n"
        "print(sorted({'dbos', 'sqlalchemy', 'psycopg', 'textual'} & set(sys.modules)))"
    )
    (path.parent / "fn.py").write_text("import jobdash\n@jobdash.job\ndef f(x): return x\n")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
