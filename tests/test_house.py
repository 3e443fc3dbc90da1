"""The house: what stands at the top, what the package needs, how long its parts are, and no import circle."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

import jobdash

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = Path(jobdash.__file__).parent
MODULE, CLASS, FUNCTION = 400, 300, 60
"""The most lines each may have."""


def names(requirements: list[str]) -> set[str]:
    return {requirement.partition(">")[0].strip() for requirement in requirements}


def test_the_packages_that_were_asked_for_are_what_it_is_built_on() -> None:  # F-4
    assert {"textual", "sqlmodel", "google-genai", "openai", "platformdirs"} <= names(PROJECT["dependencies"])
    assert {"pytest", "pytest-asyncio"} <= names(PROJECT["optional-dependencies"]["dev"])


def test_the_top_level_is_what_was_asked_for() -> None:  # F-5
    asked = {"pyproject.toml", "jobdash", "tests", "screenshots", "README.md"}
    insisted_on = {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
    there = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    made = {"build", "dist"} | {name for name in there if name.endswith(".egg-info")}
    assert asked <= there
    assert there - made == asked | insisted_on


def test_every_package_says_in_its_first_line_what_it_is_for() -> None:
    unsaid = {"store/__init__.py", "operations/__init__.py"}  # these two are empty on purpose
    for module in PACKAGE.rglob("*.py"):
        first = module.read_text(encoding="utf-8")[:3]
        assert first == '"""' or module.relative_to(PACKAGE).as_posix() in unsaid, module


def test_every_place_that_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = "|".join(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
    named = set(re.findall(rf"`((?:{packages})/[a-z_/]+)`", text))
    assert len(named) > 40
    assert {
        each for each in named if not (PACKAGE / each).is_dir() and not (PACKAGE / f"{each}.py").is_file()
    } == set()


def sizes(module: Path) -> Iterator[tuple[str, int, int]]:
    """Yield what a module holds: name, lines, and how many it may have."""
    text = module.read_text(encoding="utf-8")
    yield "", text.count("\n"), MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            limit = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            yield node.name, (node.end_lineno or 0) - node.lineno + 1, limit


def test_modules_classes_and_functions_keep_their_size() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    too_long = [
        f"{module.relative_to(PACKAGE)}:{name} has {lines} lines of {most}"
        for module in modules
        for name, lines, most in sizes(module)
        if lines > most
    ]
    assert len(modules) > 100
    assert not too_long


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("jobdash", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle
