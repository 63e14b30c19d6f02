"""The package's modules as syntax trees, for the tests that look at the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "headrace"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package: dotted name to file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def only_for_types(path: Path) -> set[int]:
    """Lines of imports that stand under `if TYPE_CHECKING`: never run."""
    return {
        inner.lineno
        for node in tree(path).body
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in node.body
    }


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Imported dotted names with their line and whether they stand inside a function.

    `from a import b` counts as a.b where that is a module of the package, else as a.
    Imports under `if TYPE_CHECKING` count like any other: a floor is about knowledge.
    """
    inside = {
        id(node)
        for function in ast.walk(tree(path))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                name = whole if whole in modules() else str(node.module)
                yield name, node.lineno, id(node) in inside
