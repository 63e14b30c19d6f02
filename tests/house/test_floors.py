"""Imports point down: the layout is the architecture."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.house.sources import imports, modules, only_for_types

# A part may import the parts on floors below its own, and itself. Parts of one floor may know
# each other where `BESIDE` says so, never in a circle.
FLOORS: dict[str, int] = {
    "headrace.values": 0,
    "headrace.language": 1,
    "headrace.plan": 2,
    "headrace.storage": 3,
    "headrace.engines.kernel": 4,
    "headrace.engines.batch": 4,
    "headrace.engines.embedded": 5,
    "headrace.engines.spark": 5,
    "headrace.proof": 6,
    "headrace.ops": 6,
    "headrace.testing": 6,
    "headrace.app": 7,
    "headrace": 8,
    "headrace.apps": 9,
    "headrace.cli": 10,
    "headrace.__main__": 11,
}
BESIDE = {
    ("headrace.ops", "headrace.proof"),
    ("headrace.testing", "headrace.ops"),
    ("headrace.testing", "headrace.proof"),
}

# Who alone may import a library that is heavy, optional or belongs to one mechanism.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "pyspark": ("headrace.engines.spark",),
    "deltalake": ("headrace.storage.lake",),
    "typer": ("headrace.cli",),
    "rich": ("headrace.cli",),
    "click": ("headrace.cli",),
    "psycopg": ("headrace.storage.postgres",),
    "pydantic_settings": ("headrace.values.settings",),
    "pydantic": ("headrace.values.settings",),
    "confluent_kafka": ("headrace.storage.kafka",),
}


def part(module: str) -> str:
    """The longest name in `FLOORS` that `module` belongs to."""
    inside = [p for p in FLOORS if module == p or module.startswith(p + ".")]
    assert inside, f"{module} belongs to no floor"
    found = max(inside, key=len)
    if found == "headrace" and module != "headrace":
        pytest.fail(f"{module} stands on no floor: add it to FLOORS or move it")
    return found


def own_imports() -> list[tuple[str, str, str, bool]]:
    """(importer, imported, place, inside a function) for imports within the package."""
    return [
        (module, name, f"{path}:{line}", inside)
        for module, path in modules().items()
        for name, line, inside in imports(path)
        if name.split(".")[0] == "headrace"
    ]


def is_package_marker(module: str) -> bool:
    return module == "headrace.engines"


def test_every_import_points_down() -> None:
    wrong = []
    for module, name, place, _ in own_imports():
        if is_package_marker(module) or is_package_marker(name):
            continue
        here, there = part(module), part(name)
        allowed = here == there or FLOORS[there] < FLOORS[here] or (here, there) in BESIDE
        if not allowed:
            wrong.append(f"{place}: {here} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_own_import_hides_inside_a_function() -> None:
    hidden = [
        f"{place}: {name}"
        for module, name, place, inside in own_imports()
        if inside and part(module) not in ("headrace.cli", "headrace.app", "headrace")
    ]
    assert not hidden, "\n".join(hidden)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, name, place, _ in own_imports():
        line = int(place.rpartition(":")[2])
        if name != module and line not in only_for_types(modules()[module]):
            graph[module].add(name)
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module in done:
            return
        for following in sorted(graph[module]):
            visit(following, (*way, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_libraries_stay_in_their_part() -> None:
    wrong = []
    for module, path in modules().items():
        for name, line, _ in imports(path):
            homes = ONLY_IN.get(name.split(".")[0])
            if homes and not any(module == h or module.startswith(h + ".") for h in homes):
                wrong.append(f"{path}:{line}: {name} belongs to {', '.join(homes)}")
    assert not wrong, "\n".join(wrong)


def test_applications_are_written_with_public_names_only() -> None:
    public = ("headrace", "headrace.testing", "headrace.ops.ingest.generator")
    wrong = [
        f"{place}: {name}"
        for module, name, place, _ in own_imports()
        if part(module) == "headrace.apps" and name not in public and part(name) != "headrace.apps"
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_loads_only_what_comes_with_python() -> None:
    program = (
        "import sys; before = set(sys.modules); import headrace; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - {*sys.stdlib_module_names, 'headrace'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_part_exists_or_is_planned() -> None:
    there = {part(m) for m in modules() if not is_package_marker(m)}
    missing = set(FLOORS) - there - {"headrace.engines.spark"}
    assert not missing, f"FLOORS names parts that are not there: {sorted(missing)}"
    assert Path(modules()["headrace"]).name == "__init__.py"
