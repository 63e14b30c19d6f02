"""What `make bench-smoke` makes of a ratio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import smoke
from benchmarks.children import MeasurementFailed


@pytest.mark.parametrize(("ratio", "code"), [(1.2, 0), (0.9, 0), (0.61, 0), (0.59, 1)])
def test_a_third_less_than_what_is_kept_fails(
    ratio: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke.verdict(ratio, kept=0.9) == code
    told = capsys.readouterr()
    assert ("make bench-smoke RENEW=1" in told.err) == bool(code)
    # Whoever reads the log sees how far it is from failing.
    assert ("0.90x" in told.out and "0.60x" in told.out) == (not code)


@pytest.mark.parametrize(("ratio", "told"), [(1.34, False), (1.36, True)])
def test_half_as_much_again_is_said_loudly_and_fails_nothing(
    ratio: float, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke.verdict(ratio, kept=0.9) == 0
    assert ("make bench-smoke RENEW=1" in capsys.readouterr().err) == told


def test_nothing_is_left_behind_by_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def failing(data: Path, count: int) -> None:
        (data / "something").mkdir(parents=True)
        raise MeasurementFailed

    monkeypatch.setattr(smoke.inputs, "simulate", failing)
    with pytest.raises(MeasurementFailed):
        smoke.measured(tmp_path / "smoke")
    assert list(tmp_path.iterdir()) == []


def test_the_ratio_is_renewed_and_then_held_to(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(smoke, "KEPT", tmp_path / "smoke.json")
    monkeypatch.setattr(smoke, "measured", lambda _: [0.5, 3.0, 1.0])
    assert smoke.main(["--renew"]) == 0
    assert json.loads(smoke.KEPT.read_text()) == {"ratio": 1.0}
    assert smoke.main([]) == 0
    monkeypatch.setattr(smoke, "measured", lambda _: [0.6, 0.5, 0.7])
    assert smoke.main([]) == 1
