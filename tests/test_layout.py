"""The layout of the package: the sizes that modules, classes and functions keep, and no import circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

import jobdash

PACKAGE = Path(jobdash.__file__).parent
MODULE, CLASS, FUNCTION = 400, 300, 60
"""The most lines each may have."""


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
