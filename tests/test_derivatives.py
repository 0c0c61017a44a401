"""Labelled derivatives: what they are of, how they are turned, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import detente as dt
from detente.errors import InputError
from detente.nests import Substitution

DIFFERENCES = 1e-6  # of central differences with a step of 1e-3 in logs, third derivatives of order one


@pytest.fixture(scope="module")
def economy():
    return dt.calibrate(dt.World.load("tiny"))


@pytest.fixture(scope="module")
def scenario(economy):
    cut = {
        "by": "USA",
        "on": "RUS",
        "direction": "exports",
        "sectors": "all",
        "instrument": "cut",
        "size": 0.5,
    }
    given = {"name": "some", "title": "The United States sell half", "measures": [cut]}
    return dt.Scenario.load(given)


def test_trade_costs_of_a_group(economy, scenario):
    """A group's real income is weighed by spending of the data year."""
    place = (economy.countries.index("USA"), economy.countries.index("RUS"), 0)
    inside = np.isin(economy.countries, ["USA", "XCO"])
    weight = scenario.shock(economy).weight_change

    def income(step):
        cost = np.ones(economy.trade_share.shape)
        cost[place] = np.exp(step)
        found = dt.solve(economy, dt.Shock(trade_cost_change=cost, weight_change=weight), tolerance=1e-12)
        return np.log((np.asarray(economy.income) * inside) @ np.asarray(found.real_income_change))

    wanted = (income(1e-3) - income(-1e-3)) / 2e-3
    slopes = dt.gradient(economy, scenario, "coalition")["trade_cost"]
    cell = {"exporter": "RUS", "importer": "USA", "sector": economy.sectors[0]}
    assert wanted != 0
    assert float(slopes.sel(cell)) == pytest.approx(wanted, abs=DIFFERENCES)
    assert slopes.dims == ("exporter", "importer", "sector")
    assert slopes.attrs["units"] == "percent for each percent of trade cost"


def test_weighed_parties_add_up(economy, scenario):
    one, other = (dt.gradient(economy, scenario, party)["trade_cost"] for party in ("RUS", "USA"))
    both = dt.gradient(economy, scenario, {"RUS": 1.0, "USA": -2.0})["trade_cost"]
    np.testing.assert_allclose(both, one - 2 * other, atol=1e-11)


def test_an_objective_of_ones_own(economy, scenario):
    def total(found):
        return jnp.sum(found["output"])

    data = dt.gradient(economy, scenario, total, by=("endowment", "trade_elasticity"))
    assert set(data) == {"endowment", "trade_elasticity"}
    assert data.attrs["objective"] == "total"


def test_sensitivity_is_the_other_way_round(economy, scenario):
    direction = xr.DataArray(
        np.linspace(-0.1, 0.2, len(economy.countries)), {"country": list(economy.countries)}
    )
    forward = dt.sensitivity(economy, scenario, {"endowment": direction, "trade_cost": 0.01})
    slopes = dt.gradient(economy, scenario, "RUS", by=["endowment", "trade_cost"])
    product = float((slopes["endowment"] * direction).sum() + 0.01 * slopes["trade_cost"].sum())
    assert float(forward["real_income"].sel(country="RUS")) == pytest.approx(product, rel=1e-8)


def test_elasticities_of_the_nests(economy, scenario):
    nested = economy.with_behaviour(substitution=Substitution.of(inputs=0.5))
    data = dt.gradient(nested, scenario, "RUS", by="substitution")
    assert data["substitution"].sel(nest="inputs") != 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "trade_costs"}, "Did you mean"),
        ({"by": ()}, "at least one kind"),
        ({"by": "substitution"}, "no elasticities to differentiate"),
        ({"objective": "RUSS"}, "RUSS"),
    ],
)
def test_refusals(economy, scenario, change, message):
    given = {"objective": "RUS"} | change
    with pytest.raises(InputError, match=message):
        dt.gradient(economy, scenario, given.pop("objective"), **given)


def test_a_direction_with_other_labels(economy, scenario):
    short = xr.DataArray([0.1], {"country": ["RUS"]})
    with pytest.raises(InputError, match="other labels"):
        dt.sensitivity(economy, scenario, {"endowment": short})
    with pytest.raises(InputError, match="shape"):
        dt.sensitivity(economy, scenario, {"endowment": np.ones(3)})
