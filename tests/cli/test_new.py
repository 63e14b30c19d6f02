"""`headrace new`: what it writes runs; a name that could not is refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.main import call


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["ähm", "_shop", "x" * 64, "x" * 300, "class", "a-b", "a.b", "1a"])
def test_what_can_be_no_apps_name_is_refused(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(["new", name]) == 2
    assert "cannot be an app's name" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["site", "json", "email", "headrace", "numpy", "pytest"])
def test_a_module_of_others_is_no_apps_name(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(["new", name]) == 2
    assert capfd.readouterr().err == (
        f"error: {name!r} cannot be an app's name: a module of others is called so\n"
        f'Did you mean "{name}_app"?\n'
    )
    assert not any(tmp_path.iterdir())
    assert call(["new", f"{name}_app"]) == 0


def test_the_longest_name_is_taken() -> None:
    assert call(["new", "x" * 63]) == 0
    assert call(["check", f"{'x' * 63}/{'x' * 63}.py"]) == 0


def test_a_file_of_that_name_stays(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").write_text("mine")
    assert call(["new", "shop"]) == 2
    assert capfd.readouterr().err == "error: shop is a file\nChoose another name.\n"
    assert (tmp_path / "shop").read_text() == "mine"
