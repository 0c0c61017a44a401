"""The harness that times many solves at once: its coalitions are what it says, its verdicts can fail."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import many, products
from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import solve
from detente.world import World
from tests import economies

MEMBERS = ("USA", "XCO")
ACCURACY = 1e-8  # of real incomes solved to a residual of 1e-9


@pytest.fixture(scope="module")
def tiny() -> Economy:
    return calibrate(World.load("tiny"))


def test_coalitions_are_the_bits_of_their_masks(tiny: Economy):
    target, first, second = (tiny.countries.index(code) for code in ("RUS", *MEMBERS))
    weights = [np.asarray(shock.weight_change) for shock in many.coalition_shocks(tiny, MEMBERS, range(4))]
    for mask, weight in enumerate(weights):
        for bit, sender in enumerate((first, second)):
            wanted = 1 - many.CUT if mask >> bit & 1 else 1.0
            assert weight[target, sender, 0] == weight[sender, target, 0] == wanted
        assert (weight < 1).sum() == 2 * mask.bit_count()


def test_a_bloc_acts_as_one_and_the_target_not_against_itself():
    economy = dataclasses.replace(economies.economy(3), countries=("RUS", "DEU", "FRA", "USA"))
    (shock,) = many.coalition_shocks(economy, ("USA", "EU27", "RUS"), [0b110])
    weight = np.asarray(shock.weight_change)[:, :, 0]
    assert weight[0].tolist() == weight[:, 0].tolist() == [1.0, 1 - many.CUT, 1 - many.CUT, 1.0]
    assert (weight[1:, 1:] == 1).all()


def test_a_sample_is_the_same_each_time_and_has_no_coalition_twice():
    drawn = many.coalitions(many.MEMBERS, 100)
    assert drawn == many.coalitions(many.MEMBERS, 100)
    assert len(set(drawn)) == 100
    assert many.coalitions(many.MEMBERS, None) == many.coalitions(many.MEMBERS, 5000) == list(range(1024))


def test_operations_are_counted_as_by_hand():
    seconds, count = products.seconds_of([("njk,njb->nkb", np.ones((2, 3, 5)), np.ones((2, 3, 7)))], 1)
    assert seconds > 0
    assert count == pytest.approx(2 * 2 * 3 * 5 * 7 / 1e9)


def test_the_harness_runs_and_its_verdict_can_fail(
    tiny: Economy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    command = ["--world", "tiny", "--members", ",".join(MEMBERS), "--block", "4", "--skip-peer"]
    assert many.main(command) == 0
    printed = capsys.readouterr().out
    assert "4 coalitions of USA, XCO that cut trade with RUS by 90% both ways" in printed
    assert "bound by" in printed
    assert "computed on the processor" in printed or "peak memory on the device" in printed
    (told,) = [row for row in printed.splitlines() if "largest difference of real income" in row]
    assert told.endswith("met")

    def slightly_wrong(*given, **options):
        found = solve(*given, **options)
        return dataclasses.replace(found, real_income_change=found.real_income_change * (1 + 10 * ACCURACY))

    monkeypatch.setattr(many, "solve", slightly_wrong)
    _, found = many.batched(tiny, MEMBERS, range(4), 4)
    many.one_by_one(tiny, MEMBERS, range(4), found, 1.0)
    assert "MISSED" in capsys.readouterr().out


def test_the_other_package_is_no_dependency(capsys: pytest.CaptureFixture[str]):
    if importlib.util.find_spec("sanction_simulator") is not None:
        pytest.skip("is installed here")
    many.peer(sys.executable, 1, 1, 0.01)
    assert f"pip install {many.PEER}" in capsys.readouterr().out


def test_an_interpreter_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    many.peer(str(tmp_path / "python"), 1, 1, 0.01)
    assert "not measured" in capsys.readouterr().out


@pytest.mark.slow
def test_a_process_without_other_devices_finds_the_same(tiny: Economy):
    _, found = many.batched(tiny, MEMBERS, [1, 3], 4)
    answers = many.on_processor("tiny", MEMBERS, [1, 3])
    assert np.ptp(answers) > 1e-4
    np.testing.assert_allclose(found.values["real_income_change"], answers, atol=ACCURACY)
