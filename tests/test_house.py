"""The house: what stands at the top, and what the package needs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jobdash

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


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
    package = Path(jobdash.__file__).parent
    for module in package.rglob("*.py"):
        first = module.read_text(encoding="utf-8")[:3]
        assert first == '"""' or module.relative_to(package).as_posix() in unsaid, module
