"""Horizons: sets, overrides, what they make of an economy, and the elasticities they imply against brute force."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq, minimize
from typer.testing import CliRunner

import detente as dt
from detente import demand, implied, nests
from detente.calibration import calibrate
from detente.cli import app
from detente.digits import format_percent
from detente.economy import Economy
from detente.errors import InputError
from detente.horizon import (
    Horizon,
    crude_sectors,
    energy_sectors,
    number,
    oil_sets,
    parameters,
    resource_sectors,
    shipped,
    user_sectors,
)

SAME = 1e-10  # percent; both solved to 1e-13
SLOPE = 2e-3  # a central difference of a smooth curve over a percent either way
# us-relief, real income in percent in the tiny world, before there were horizons
BEFORE = {
    "RUS": 0.37505445099978996,
    "USA": 0.015623203666903507,
    "XCO": -0.0021245539095438026,
    "XRW": -0.002525909806150306,
}


@pytest.fixture(scope="module")
def tiny() -> dt.World:
    return dt.World.load("tiny")


@pytest.fixture(scope="module")
def mine() -> Economy:
    """Two countries, crude oil and other goods; output of oil is half value added at home, most of it abroad."""
    gamma = np.zeros((2, 2, 2))
    gamma[:, :, 0] = [[0.1, 0.4], [0.05, 0.05]]
    gamma[:, :, 1] = [[0.1, 0.4], [0.2, 0.3]]
    return Economy.from_shares(
        countries=["A", "B"],
        sectors=["B06", "X"],
        trade_share=np.array([[[0.6, 0.8], [0.4, 0.2]], [[0.1, 0.3], [0.9, 0.7]]]),
        input_share=gamma,
        value_added_share=1 - gamma.sum(axis=1),
        consumption_share=[[0.1, 0.9], [0.2, 0.8]],
        value_added=[0.5, 0.5],
        deficit=[0.0, 0.0],
        trade_elasticity=4.0,
        closure="balanced",
    )


# Sets and overrides -----------------------------------------------------------------------------------------


def test_long_is_the_economy_as_it_was(tiny: dt.World):
    economy = calibrate(tiny)
    assert economy.substitution is None
    assert economy.factor_mobility is None
    assert economy.resource_share is None
    outcome = dt.simulate(economy, "us-relief", tolerance=1e-13)
    assert dict(zip(economy.countries, outcome.real_income.values, strict=True)) == pytest.approx(
        BEFORE, abs=SAME
    )
    again = dt.simulate(calibrate(tiny, horizon="long-run"), "us-relief", tolerance=1e-13)
    assert (again.real_income.values == outcome.real_income.values).all()


@pytest.mark.parametrize("name", shipped())
def test_every_horizon_has_a_solution_and_its_zero_is_the_baseline(tiny: dt.World, name: str):
    economy = calibrate(tiny, horizon=name)
    assert np.asarray(economy.output) == pytest.approx(np.asarray(calibrate(tiny).output), abs=0)
    still = dt.solve(economy, dt.Shock())
    assert np.asarray(still.real_income_change) == pytest.approx(1, abs=1e-10)
    assert dt.simulate(economy, "us-relief").converged


def test_the_shorter_the_horizon_the_larger_the_loss(tiny: dt.World):
    loss = [
        float(dt.simulate(calibrate(tiny, horizon=name), "embargo").real_income.sel(country="RUS"))
        for name in ("long", "medium", "short")
    ]
    assert 0 > loss[0] > loss[1] > loss[2]


def test_every_value_lies_in_its_range_and_cites():
    for name in shipped():
        for key, value in Horizon.load(name).values.items():
            assert value.low <= value.value <= value.high, (name, key)
            assert value.source
            assert value.status in ("verified", "unverified")


def test_a_balanced_baseline_does_not_depend_on_the_horizon(tiny: dt.World):
    made = [calibrate(tiny, deficits="balanced", horizon=name) for name in ("long", "short")]
    assert (np.asarray(made[0].trade_share) == np.asarray(made[1].trade_share)).all()


def test_overrides_from_mapping_file_and_command_are_one(tiny: dt.World, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: short\ninputs: 0.1\nmobility: 1.5\n", "utf-8")
    from_file, given = Horizon.load(path), Horizon.load({"base": "short-run", "inputs": 0.1, "mobility": 1.5})
    assert (
        from_file.values
        == given.values
        == Horizon.load("short").changed({"inputs": 0.1, "mobility": 1.5}).values
    )
    assert from_file.name == "mine"
    assert from_file.told == "mine, with inputs 0.1, mobility 1.5"
    economy = calibrate(tiny, horizon=given)
    assert economy.substitution is not None
    assert float(economy.substitution.inputs) == 0.1
    assert float(economy.substitution.energy) == 0.2
    assert economy.factor_mobility is not None
    assert float(economy.factor_mobility) == 1.5
    theta = np.asarray(calibrate(tiny).trade_elasticity)
    assert np.asarray(economy.trade_elasticity) == pytest.approx(0.38 * theta)


def test_oil_takes_a_named_set():
    for name, entry in oil_sets().items():
        both = Horizon.load({"base": "medium", "oil": name, "oil_demand": name})
        assert (both["oil"], both["oil_demand"]) == (entry["supply"], -entry["demand"])


def test_sectors_are_found_in_split_and_summed_worlds():
    assert energy_sectors(("A01", "B06L", "B06O", "C19", "D", "DX", "B060")) == ["B06L", "B06O", "C19", "D"]
    assert energy_sectors(("ENE", "GDS")) == ["ENE"]
    assert energy_sectors(("goods",)) == []
    assert resource_sectors("oil", ("B05", "B06O", "B06P")) == ["B06O", "B06P"]
    assert crude_sectors(("B05", "B06O", "B06P")) == ["B06O"]
    assert crude_sectors(("B05", "B06")) == ["B06"]
    assert user_sectors("refining", ("C19", "C20", "D")) == ["C19"]
    assert user_sectors("power", ("C19", "D")) == ["D"]


# Refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("shrot", "Did you mean `short`"),
        (3, "expected a name"),
        ({"base": "shrot"}, "Did you mean `short`"),
        ({"input": 0.1}, "Did you mean `inputs`"),
        ({"inputs": -0.1}, "`inputs`: found `-0.1`, expected a number of at least 0"),
        ({"inputs": float("nan")}, "`inputs`: found `nan`"),
        ({"inputs": float("inf")}, "`inputs`: found `inf`"),
        ({"inputs": "low"}, "`inputs`: found `'low'`, expected a number"),
        ({"inputs": True}, "`inputs`"),
        ({"mobility": 0.5}, "expected a number from 1"),
        ({"trade_elasticity_scale": 0}, "expected a number above 0"),
        ({"oil": "kilian"}, "Did you mean `kilian-murphy`"),
        ({"oil": None}, "found nothing"),
        ({"oil_demand": 0}, "expected a number above 0"),
        ({"oil_demand": "hamilton"}, "Did you mean `baumeister-hamilton`"),
        ({"refining": -1}, "expected a number of at least 0"),
        ("none.yaml", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(given, told: str):
    with pytest.raises(InputError) as refused:
        Horizon.load(given)
    assert told in str(refused.value)


def test_a_file_with_a_mistake_names_the_line(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: short\ninputs: 0.1\nmobilty: 2\n", "utf-8")
    with pytest.raises(InputError, match=r"`mine.yaml`, line 3.*`mobility`"):
        Horizon.load(path)
    path.write_text("inputs: 0.1\ninputs: 0.2\n", "utf-8")
    with pytest.raises(InputError, match="line 2"):
        Horizon.load(path)
    path.write_text("- short\n", "utf-8")
    with pytest.raises(InputError, match="keys with values"):
        Horizon.load(path)


def test_an_override_without_effect_is_refused(tiny: dt.World, mine: Economy):
    with pytest.raises(InputError, match="no sector B06"):
        calibrate(tiny, horizon={"base": "medium", "oil": 0.1})
    for key in ("oil_demand", "refining", "power"):
        with pytest.raises(InputError, match=f"`{key}` has no effect: this world has no sector"):
            calibrate(tiny, horizon={"base": "medium", key: 0.1})
    with pytest.raises(InputError, match="`mobility` is 1"):
        Horizon.load({"base": "short", "oil": 0.9}).applied(mine)
    plain = dataclasses.replace(mine, sectors=("X", "Y"))
    with pytest.raises(InputError, match="no sector of energy"):
        Horizon.load({"energy": 0.1}).applied(plain)


def test_horizons_do_not_pile_up(mine: Economy):
    short = Horizon.load("short")
    over_long = short.applied(Horizon.load("long").applied(mine))
    assert (np.asarray(over_long.trade_elasticity) == np.asarray(short.applied(mine).trade_elasticity)).all()
    with pytest.raises(InputError, match="the horizon `short` already"):
        Horizon.load("medium").applied(over_long)


# What they imply --------------------------------------------------------------------------------------------


def brute_supply(rho: float, v: float, zeta: float, mobility: float) -> float:
    """d log y / d log p of a firm that maximises profit, its resource fixed and its labour from a Roy supply curve."""

    def produce(log_labour: float, log_inputs: float) -> float:
        composite = np.exp((1 - rho) * log_labour)
        inputs = np.exp(log_inputs)
        if zeta == 1:
            return composite**v * inputs ** (1 - v)
        r = (zeta - 1) / zeta
        return (v * composite**r + (1 - v) * inputs**r) ** (1 / r)

    def best(price: float, wage: float) -> tuple[float, float]:
        def loss(x: np.ndarray) -> float:
            labour = (1 - rho) * v * np.exp(x[0])
            return wage * labour + (1 - v) * np.exp(x[1]) - price * produce(x[0], x[1])

        found = minimize(
            loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 4000}
        )
        return float(found.x[0]), float(produce(*found.x))

    def output(price: float) -> float:
        if rho == 1 or np.isinf(mobility):
            return best(price, 1.0)[1]
        clear = brentq(lambda w: best(price, np.exp(w))[0] - (mobility - 1) * w, -0.05, 0.05, xtol=1e-9)
        return best(price, float(np.exp(clear)))[1]

    step = 0.01
    return (np.log(output(np.exp(step))) - np.log(output(np.exp(-step)))) / (2 * step)


@pytest.mark.parametrize(
    ("supply", "v", "zeta", "mobility"),
    [(0.6, 0.7, 0.5, np.inf), (1.5, 0.6, 1.0, np.inf), (0.4, 0.9, 0.2, 1.5), (0.8, 0.5, 0.75, 2.5)],
)
def test_the_resource_share_gives_the_supply_asked_for(supply: float, v: float, zeta: float, mobility: float):
    rho = float(implied.resource_share(supply, v, zeta, mobility))
    assert 0 < rho < 1
    assert brute_supply(rho, v, zeta, mobility) == pytest.approx(supply, rel=SLOPE)


@pytest.mark.parametrize(("v", "zeta"), [(0.7, 0.5), (0.5, 1.0)])
def test_a_supply_that_inputs_exceed_is_told_not_hidden(v: float, zeta: float):
    """With the whole of value added a resource, output still rises by ζ (1 − v)/v."""
    rho = implied.resource_share(0.01, v, zeta, np.inf)
    assert rho == 1
    reached = float(implied.supply_elasticity(rho, v, zeta))
    assert reached == pytest.approx(zeta * (1 - v) / v)
    assert brute_supply(1.0, v, zeta, np.inf) == pytest.approx(reached, rel=SLOPE)


@pytest.mark.parametrize(("supply", "mobility"), [(0.015, np.inf), (0.15, 1.5), (0.3, 1.0)])
def test_a_supply_below_what_inputs_give_is_met_by_a_stiffer_nest(supply: float, mobility: float):
    v, zeta = 0.6, 0.75
    stiff = float(implied.stiff(supply, v, zeta))
    assert stiff == pytest.approx(supply * v / (1 - v))
    assert stiff < zeta
    rho = float(implied.resource_share(supply, v, stiff, mobility))
    assert rho == (0 if mobility == 1 else pytest.approx(1))
    assert brute_supply(1.0, v, stiff, np.inf) == pytest.approx(supply, rel=SLOPE)
    assert implied.stiff(5.0, [v, 1.0], zeta) == pytest.approx(zeta)


def test_stuck_factors_still_supply_what_was_asked(mine: Economy):
    """In B inputs are a tenth of cost and give less than that anyway."""
    economy = Horizon.load({"base": "short", "oil": 0.1}).applied(mine)
    assert implied.supply_elasticities(economy)[:, 0] == pytest.approx([0.1, 0.5 / 9])
    assert economy.substitution is not None
    assert np.asarray(economy.substitution.value_added)[:, 1] == pytest.approx(0.5)


def test_fixed_proportions_give_the_textbook_share():
    assert implied.resource_share(0.3, 0.7, 0.0, np.inf) == pytest.approx(1 / (1 + 0.3 * 0.7))


def test_factors_that_stick_anyway_need_no_resource():
    v, zeta, mobility = 0.7, 0.5, 1.5
    most = (mobility - 1 + zeta * (1 - v)) / v
    assert implied.resource_share(most + 1, v, zeta, mobility) == 0
    assert implied.supply_elasticity(1 / mobility, v, zeta) == pytest.approx(most)


def test_an_economy_reaches_what_was_asked_and_says_so(mine: Economy):
    given = {"base": "medium", "value_added": 0.2, "oil": 0.5}
    economy = Horizon.load(given).applied(mine)
    assert economy.resource_share is not None
    share = np.asarray(economy.resource_share)
    assert (share[:, 0] > 0).all()
    assert (share[:, 1] == 0).all()
    assert implied.supply_elasticities(economy)[:, 0] == pytest.approx(0.5)
    assert economy.provenance["horizon"]["supply"] == {"oil": {"asked": 0.5, "reached": pytest.approx(0.5)}}
    assert economy.provenance["horizon"]["energy_sectors"] == ["B06"]
    shock = dt.Shock(trade_cost_change=np.where(np.eye(2)[:, :, None] == 1, 1.0, 1.1))
    assert dt.solve(economy, shock).converged


@pytest.mark.parametrize("name", ["long", "medium", "energy-crisis"])
def test_demand_is_the_slope_of_what_buyers_take(mine: Economy, name: str):
    economy = Horizon.load(name).applied(mine)
    nest = economy.substitution or nests.Substitution.of()
    recipe = nests.recipe(
        np.asarray(economy.input_share), np.asarray(economy.consumption_share), nest.energy_goods
    )
    v, zeros = economy.value_added_share, jnp.zeros((2, 2))

    def taken(log_price: np.ndarray) -> np.ndarray:
        at = nests.costs(zeros, jnp.asarray(log_price), v, recipe, nest)
        spent = nests.input_spending(economy.output * jnp.exp(at.log_cost), at, recipe, nest)
        eaten = nests.consumption_share(jnp.asarray(log_price), recipe, nest) * economy.income[:, None]
        return np.log(np.asarray(spent + eaten)) - log_price

    for good in range(2):
        step = np.zeros((2, 2))
        step[:, good] = 1e-5
        slope = (taken(step) - taken(-step))[:, good] / 2e-5
        assert implied.demand_elasticities(economy)[:, good] == pytest.approx(slope, rel=1e-7)


def closed(seed: int) -> Economy:
    """Two countries that are one: the same shares, half of everything from each; C19 is made of B06, energy for all."""
    draw = np.random.default_rng(seed)
    v = draw.uniform(0.3, 0.7, 4)
    gamma = draw.dirichlet(np.ones(4), 4).T * (1 - v)
    return Economy.from_shares(
        countries=["A", "B"],
        sectors=["B06", "C19", "D", "X"],
        trade_share=np.full((2, 2, 4), 0.5),
        input_share=np.stack([gamma, gamma]),
        value_added_share=[v, v],
        consumption_share=[draw.dirichlet(np.ones(4))] * 2,
        value_added=[0.5, 0.5],
        deficit=[0.0, 0.0],
        trade_elasticity=4.0,
        closure="balanced",
    )


def test_derived_demand_is_one_where_shares_are_fixed():
    economy = Horizon.load("long").applied(closed(1))
    assert [demand.derived_demand(economy, (k,)) for k in range(4)] == pytest.approx([-1] * 4)


@pytest.mark.parametrize("mobility", [pytest.param(np.inf, marks=pytest.mark.slow), 1.5])
def test_derived_demand_is_the_slope_of_the_equilibrium(mobility: float):
    """Oil that melts away on all its ways raises its price and leaves world income, the numéraire, as it is.

    With ζ of the oil sector itself at one, melted or dear oil leaves the same for its inputs.
    """
    economy, step = closed(2), 1e-3
    nest = nests.Substitution.of(
        value_added=[1.0, 0.1, 0.7, 0.4],
        energy=[0.3, 0.05, 0.2, 0.5],
        inputs=0.3,
        energy_mix=[0.6, 0.0, 0.4, 0.8],
        consumption=0.9,
        consumption_energy=0.35,
        consumption_mix=0.5,
        energy_goods=(0, 1, 2),
    )
    economy = economy.with_behaviour(substitution=nest, factor_mobility=mobility)

    def used(log_cost: float) -> tuple[float, float]:
        change = np.ones((2, 2, 4))
        change[:, :, 0] = np.exp(log_cost)
        found = dt.solve(economy, dt.Shock(trade_cost_change=change), tolerance=1e-13)
        price = np.log(np.asarray(found.price_change)[0, 0])
        return float(np.log(np.asarray(found.spending)[0, 0]) - price), float(price)

    (more, high), (less, low) = used(step), used(-step)
    assert demand.derived_demand(economy, (0,)) == pytest.approx((more - less) / (high - low), rel=1e-5)


@pytest.mark.parametrize("base", ["medium", "short"])
def test_demand_for_oil_is_as_asked(base: str):
    economy = Horizon.load({"base": base, "oil_demand": 0.3}).applied(closed(3))
    assert demand.derived_demand(economy, (0,)) == pytest.approx(-0.3, abs=1e-8)
    told = economy.provenance["horizon"]["demand"]["oil"]
    assert told["asked"] == 0.3
    assert told["reached"] == pytest.approx(0.3, abs=1e-8)
    assert Horizon.load(base).applied(closed(3)).provenance["horizon"]["demand"] == {}
    plain, scaled = Horizon.load(base).applied(closed(3)).substitution, economy.substitution
    assert plain is not None
    assert scaled is not None
    assert np.asarray(scaled.energy) == pytest.approx(told["scale"] * np.asarray(plain.energy))
    assert np.asarray(scaled.inputs) == np.asarray(plain.inputs)


def test_demand_out_of_reach_is_told_not_hidden():
    least = Horizon.load({"base": "short", "oil_demand": 1e-6}).applied(closed(3))
    assert least.provenance["horizon"]["demand"]["oil"]["scale"] == 0
    assert least.provenance["horizon"]["demand"]["oil"]["reached"] > 1e-6


def test_refineries_and_power_have_nests_of_their_own():
    nest = Horizon.load({"base": "short", "refining": 0.05, "power": 0.1}).applied(closed(3)).substitution
    assert nest is not None
    assert np.asarray(nest.energy) == pytest.approx([0.2, 0.05, 0.1, 0.2])
    assert np.asarray(nest.energy_mix) == pytest.approx([0.2, 0.05, 0.2, 0.2])
    assert np.asarray(nest.value_added) == pytest.approx(np.array([[0.5, 0.05, 0.1, 0.5]] * 2))
    assert float(nest.consumption_mix) == 0.2


# Shown ------------------------------------------------------------------------------------------------------


def test_results_carry_the_horizon(tiny: dt.World, tmp_path: Path):
    economy = calibrate(tiny, horizon={"base": "short", "inputs": 0.1})
    outcome = dt.simulate(economy, "us-relief")
    assert "horizon short, with inputs 0.1" in outcome.summary()
    assert any(line.startswith("Horizon: short, with inputs 0.1") for line in outcome.citations())
    stated = json.loads(json.dumps(outcome.to_json(), allow_nan=False))["parameters"]["horizon"]
    assert stated["overrides"] == {"inputs": 0.1}
    assert stated["values"]["inputs"] == 0.1
    assert stated["values"]["value_added"] == 0.5
    with xr.open_dataset(outcome.save(tmp_path / "all.nc"), engine="h5netcdf") as file:
        assert json.loads(file.attrs["horizon"])["overrides"] == {"inputs": 0.1}
    table = outcome.save(tmp_path / "by_country.csv").read_text("utf-8")
    assert table.splitlines()[1].endswith('"short, with inputs 0.1"')
    page = dt.write_report(outcome, tmp_path / "report")
    assert page
    assert "short, with inputs 0.1" in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "short, with inputs 0.1" in (tmp_path / "report" / "countries.csv").read_text("utf-8")


def test_the_default_says_long_and_infinite(tiny: dt.World):
    stated = dt.simulate(calibrate(tiny), "us-relief").to_json()["parameters"]["horizon"]
    assert (stated["name"], stated["values"]["mobility"], stated["overrides"]) == ("long", "infinite", {})


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_run_takes_a_horizon_and_changes():
    done = run(
        "run",
        "us-relief",
        "--world",
        "tiny",
        "--horizon",
        "short",
        "--set",
        "inputs=0.1",
        "--set",
        "mobility=1.5",
    )
    assert done.exit_code == 0, done.output
    assert "horizon short, with inputs 0.1, mobility 1.5" in done.stdout


@pytest.mark.parametrize("change", ["inputs", "=1", "inputs=", "inputs=-1", "foo=1"])
def test_run_refuses_a_change_that_is_none(change: str):
    done = run("run", "us-relief", "--world", "tiny", "--set", change)
    assert isinstance(done.exception, InputError)
    assert change.split("=")[0] in str(done.exception)


def test_run_refuses_the_same_change_twice():
    done = run("run", "us-relief", "--world", "tiny", "--set", "inputs=1", "--set", "inputs=0.5")
    assert "twice" in str(done.exception)


def test_list_show_and_implied():
    listed = run("horizon", "list").stdout
    assert all(name in listed for name in (*shipped(), *oil_sets()))
    shown = run("horizon", "show", "energy-crisis", "--set", "energy=0.07").stdout
    assert "energy-crisis, with energy 0.07" in shown
    assert "given by the user" in shown
    assert "[1]" in shown
    printed = run("horizon", "implied", "short", "--world", "tiny").stdout
    economy = calibrate(dt.World.load("tiny"), horizon="short")
    mean = implied.spread(implied.demand_elasticities(economy)[:, 0], np.asarray(economy.spending)[:, 0])
    assert mean is not None
    assert f"{mean[0]:.2f}".replace("-", "−") in printed


# The page ---------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "horizons.md").read_text("utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """The first table below a heading of the page: {first cell: the others}, the code marks of both removed."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return {row[0]: row[1:] for row in [cells[0], *cells[2:]]}


def test_the_page_has_every_value():
    table = rows("The sets that ship")
    names = table.pop("key")
    assert names == list(shipped())
    for at, name in enumerate(names):
        values = Horizon.load(name).values
        assert {key: row[at] for key, row in table.items()} == {
            key: number(values[key].value) if key in values else "–" for key in parameters()
        }
    for name, entry in oil_sets().items():
        assert f"`{name}`" in PAGE
        assert f"{entry['supply']:g}, demand" in PAGE or f"({entry['supply']:g}, " in PAGE


@pytest.mark.slow
def test_the_page_has_the_results_of_the_embedded_world():
    """Four sets of parameters to factor, each the first time up to a minute."""
    table = rows("What the horizon changes")
    table.pop("horizon")
    assert list(table) == list(shipped())
    world = dt.World.load()
    for name, shown in table.items():
        economy = calibrate(world, horizon=name)
        outcomes = [dt.simulate(economy, scenario) for scenario in ("embargo", "us-relief")]
        found = [
            format_percent(one.group(code)["real_income"]) for one in outcomes for code in ("RUS", "DEU")
        ]
        assert [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in found] == shown
