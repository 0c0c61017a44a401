"""Many scenarios through the labelled door: the same as one by one, each situation once, failures told."""

import dataclasses
import json

import numpy as np
import pytest

import detente as dt
from detente import labels, many
from detente.calibration import calibrate
from detente.economy import Economy
from detente.errors import InfeasibleError, InputError
from detente.scenario import Scenario, available
from detente.scenario_plain import plain, read, same
from detente.shock import Shock

TOLERANCE = 1e-12  # relative, of either
AGREEMENT = 1e-8  # percent; residuals grow some hundred times on their way into percentages
EXACT = ("real_income", "equivalent_variation", "income_before", "wage", "consumer_price")
HALF = {"by": "XCO", "on": "RUS", "instrument": "cut", "size": 0.5}
BAN = {"by": "USA", "on": "RUS", "instrument": "ban"}


def scenario(name: str, *measures: dict, **more) -> dict:
    return {"name": name, "title": name, "measures": list(measures), **more}


@pytest.fixture(scope="module")
def tiny() -> Economy:
    return calibrate(dt.World.load("tiny"))


@pytest.fixture(scope="module")
def asked(tiny: Economy) -> list:
    other = tiny.with_behaviour(trade_elasticity=1.5 * np.asarray(tiny.trade_elasticity))
    given = scenario("half", HALF)
    return ["status-quo-2025-aggregate", given, (other, given), Scenario.load(scenario("ban", BAN)), Shock()]


@pytest.fixture(scope="module")
def found(tiny: Economy, asked: list) -> dt.Outcomes:
    return dt.simulate_many(tiny, asked, tolerance=TOLERANCE)


def test_the_same_as_one_by_one(tiny: Economy, asked: list, found: dt.Outcomes):
    assert found.converged
    for k, each in enumerate(asked):
        own, given = each if isinstance(each, tuple) else (tiny, each)
        alone = dt.simulate(own, given, tolerance=TOLERANCE)
        for name in EXACT:
            wanted, got = alone.data[name].values, found.data[name].values[:, k]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=AGREEMENT, err_msg=name)
        assert found.data["against"].values[k] == alone.against
        part = found.group(["RUS", "USA"]).isel(scenario=k)
        for name, value in alone.group(["RUS", "USA"]).items():
            assert float(part[name]) == pytest.approx(value, abs=AGREEMENT)
    assert list(found.names) == ["status-quo-2025-aggregate", "half #1", "half #2", "ban", "shock"]


def test_every_situation_is_solved_once(tiny: Economy, monkeypatch: pytest.MonkeyPatch):
    seen, told = [], []
    real = many.solve_many

    def counted(economy, shocks, **options):
        given = list(shocks)
        seen.append(len(given))
        return real(economy, given, **options)

    monkeypatch.setattr(many, "solve_many", counted)
    again = dataclasses.replace(Scenario.load(scenario("other-name", HALF)), title="Another title")
    given = [scenario("half", HALF), again, "baseline", scenario("more", HALF, BAN)]
    dt.simulate_many(tiny, given, progress=lambda done, of: told.append((done, of)))
    assert seen == [3]  # the data year, one half under two names, and more
    assert told == [(3, 3)]


def test_against_one_for_all(tiny: Economy):
    found = dt.simulate_many(tiny, ["baseline", scenario("half", HALF)], scenario("half", HALF))
    alone = dt.simulate(tiny, "baseline", scenario("half", HALF))
    np.testing.assert_allclose(found.data["real_income"][:, 0], alone.real_income, rtol=0, atol=AGREEMENT)
    assert not found.data["real_income"].values[:, 1].any()


def test_what_fails_is_told_and_poisons_nobody(tiny: Economy):
    economy = tiny
    alone = [{"by": one, "on": "RUS", "instrument": "ban"} for one in ("USA", "XCO", "XRW")]
    idle = scenario("idle", HALF, {"lift": {"by": "USA", "on": "RUS", "instrument": "tariff"}})
    found = dt.simulate_many(economy, [scenario("half", HALF), scenario("island", *alone), idle])
    assert found.data["result"].values.tolist() == [0, dt.Result.INFEASIBLE, dt.Result.REFUSED]
    assert set(found.failed) == {"island", "idle"}
    assert "ends nothing" in found.failed["idle"]
    assert np.isnan(found.data["real_income"].values[:, 1:]).all()
    assert np.isfinite(found.data["real_income"].values[:, 0]).all()
    assert np.isnan(found.group("all")["real_income"].values[1:]).all()
    assert "2 without a solution" in repr(found)
    with pytest.raises(InfeasibleError, match="Scenario `island`"):
        dt.simulate_many(economy, [scenario("island", *alone)], throw=True)
    nothing = dt.simulate_many(economy, [idle], idle)
    assert nothing.data["result"].values.tolist() == [dt.Result.REFUSED]


def test_what_cannot_be_used_is_refused(tiny: Economy):
    for given, told in (
        ("us-relief", "expected a sequence"),
        (["us-releif"], "Did you mean `us-relief`"),
        ([scenario("half", HALF), "us-relief-at-risk"], "As scenario 2.*3 possible outcomes.*branches"),
        ([(None, "us-relief")], "a pair is"),
    ):
        with pytest.raises(InputError, match=told):
            dt.simulate_many(tiny, given)
    with pytest.raises(InputError, match="As the comparison"):
        dt.simulate_many(tiny, ["us-relief"], "us-relief-at-risk")


def test_nothing_asked(tiny: Economy):
    found = dt.simulate_many(tiny, [])
    assert len(found) == 0
    assert found.data.sizes == {"country": 4, "scenario": 0}
    assert "0 scenarios" in repr(found)


def test_variables_are_those_of_the_dictionary(found: dt.Outcomes):
    rows = {row["name"]: row for row in labels.variables() if row["group"] == "Outcomes"}
    data = found.data
    shown = {
        str(name): (" ".join(map(str, array.dims)), array.attrs["units"]) for name, array in data.items()
    }
    assert shown == {name: (row["axes"], row["unit"]) for name, row in rows.items()}


# Scenarios as plain data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", available())
def test_a_scenario_survives_as_plain_data(name: str):
    one = Scenario.load(name)
    again = read(json.loads(json.dumps(plain(one))))
    assert same(again) == same(one)
    assert str(again) == str(one)
    assert (again.against, again.focus, again.world, again.horizon) == (
        one.against,
        one.focus,
        one.world,
        one.horizon,
    )
    assert [o.probability for o in again.outcomes] == [o.probability for o in one.outcomes]


def test_another_size_is_another_situation():
    one = Scenario.load(scenario("half", HALF))
    other = Scenario.load(scenario("half", HALF | {"size": 0.6}))
    assert same(one) != same(other)
    assert same(one) != same(dataclasses.replace(one, cuts=0.3))
    with pytest.raises(InputError, match="kind 'Os'"):
        read({"kind": "Os"})
    with pytest.raises(InputError, match="hold Measure"):
        read({"kind": "Measure", **HALF})
