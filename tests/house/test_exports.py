"""What `import headrace` offers is listed, sorted and really there."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import headrace
import headrace.testing
from headrace.values import errors
from headrace.values import version as values_version

ROOT = Path(__file__).resolve().parents[2]


def test_exported_names_are_sorted_and_exist() -> None:
    for module in (headrace, headrace.testing):
        names = module.__all__
        assert list(names) == sorted(names), module.__name__
        assert [n for n in names if not hasattr(module, n)] == []


def test_every_error_is_exported() -> None:
    tree = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Exception)}
    assert tree <= set(headrace.__all__)


def test_the_package_is_typed() -> None:
    assert (Path(headrace.__file__).parent / "py.typed").is_file()


def test_the_version_is_one() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in settings["project"]["dynamic"]
    assert ROOT / settings["tool"]["hatch"]["version"]["path"] == Path(values_version.__file__)
    assert version("headrace") == headrace.__version__
