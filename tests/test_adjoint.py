"""Derivatives by the implicit function theorem against central differences of whole solves, for every behaviour."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from detente import adjoint
from detente.economy import Economy
from detente.equilibrium import solve
from detente.errors import ConvergenceError, InputError
from detente.evasion import Evasion
from detente.nests import Substitution
from detente.shock import Shock
from tests import economies

DIFFERENCES = 2e-7  # of central differences: h² f‴/6 and the solver's 1e-13 over h, h = 1e-4
STEP, TOLERANCE = 1e-4, 1e-13
NESTS = Substitution.of(value_added=0.6, inputs=0.3, consumption=0.8, energy=0.2, energy_goods=(1,))
BEHAVIOURS = {
    "plain": {},
    "nests": {"substitution": NESTS},
    "Cobb–Douglas as nests": {"substitution": Substitution.of()},
    "stuck": {"factor_mobility": 1.0},
    "all": {"substitution": NESTS, "factor_mobility": 2.0, "resource_share": 0.2},
}


def first_income(found):
    return jnp.log(found["real_income_change"][0])


def by_use() -> Economy:
    given = economies.shares(5)
    given["use_share"] = np.stack([given["trade_share"], economies.shares(6)["trade_share"]])
    given["trade_share"] = None
    return Economy.from_shares(**given)


def shock() -> Shock:
    given = economies.shock(2)
    return dataclasses.replace(given, endowment_change=[1.0, 1.1, 0.95, 1.0])


def value(economy: Economy, of: Shock) -> float:
    return float(
        first_income({"real_income_change": solve(economy, of, tolerance=TOLERANCE).real_income_change})
    )


def differences(moved) -> float:
    return (moved(STEP) - moved(-STEP)) / (2 * STEP)


def at(economy: Economy, kinds=adjoint.KINDS) -> adjoint.Differentiable:
    return adjoint.differentiable(economy, shock(), solve(economy, shock(), tolerance=TOLERANCE), kinds)


LONG = ("nests", "Cobb–Douglas as nests")  # to compile; "all" has nests too
CASES = [
    pytest.param(each, marks=pytest.mark.slow) if each in LONG else each for each in (*BEHAVIOURS, "by use")
]


@pytest.fixture(scope="module", params=CASES)
def case(request):
    economy = (
        by_use()
        if request.param == "by use"
        else economies.economy(3).with_behaviour(**BEHAVIOURS[request.param])
    )
    ready = at(economy)
    return economy, ready, adjoint.gradient(ready, first_income)


def test_value(case):
    economy, _, (worth, _, _) = case
    assert worth == pytest.approx(value(economy, shock()), rel=1e-12)


@pytest.mark.parametrize("cell", [(0, 1, 1), (2, 0, 0), (1, 3, 2)])
def test_trade_costs(case, cell):
    economy, _, (_, slopes, _) = case
    importer, exporter, sector = cell

    def moved(h: float) -> float:
        cost = np.array(shock().trade_cost_change)
        cost[cell] *= np.exp(h)
        return value(economy, dataclasses.replace(shock(), trade_cost_change=cost))

    assert slopes.log_cost[sector, importer, exporter] == pytest.approx(differences(moved), abs=DIFFERENCES)


@pytest.mark.parametrize(("field", "lever"), [("tariff_new", "tariff"), ("export_tax_new", "export_tax")])
def test_duties(case, field, lever):
    economy, _, (_, slopes, _) = case
    cell = (1, 2, 0)

    def moved(h: float) -> float:
        rate = np.array(getattr(shock(), field))
        rate[cell] += h
        return value(economy, dataclasses.replace(shock(), **{field: rate}))

    assert getattr(slopes, lever)[0, 1, 2] == pytest.approx(differences(moved), abs=DIFFERENCES)


def test_trade_elasticities(case):
    economy, _, (_, slopes, _) = case

    def moved(h: float) -> float:
        theta = np.array(economy.trade_elasticity)
        theta[2] *= np.exp(h)
        return value(economy.with_behaviour(trade_elasticity=theta), shock())

    assert slopes.log_trade_elasticity[2] == pytest.approx(differences(moved), abs=DIFFERENCES)


@pytest.mark.parametrize("country", [0, 1])
def test_endowments(case, country):
    economy, _, (_, slopes, _) = case

    def moved(h: float) -> float:
        grown = np.array(shock().endowment_change)
        grown[country] *= np.exp(h)
        return value(economy, dataclasses.replace(shock(), endowment_change=grown))

    assert slopes.log_endowment[country] == pytest.approx(differences(moved), abs=DIFFERENCES)


@pytest.mark.parametrize("name", ["value_added", "inputs", "consumption"])
def test_nests(case, name):
    economy, _, (_, slopes, _) = case
    if economy.substitution is None:
        assert slopes.substitution is None
        return

    def moved(h: float) -> float:
        nests = eqx.tree_at(lambda n: getattr(n, name), economy.substitution, replace_fn=lambda x: x + h)
        return value(economy.with_behaviour(substitution=nests), shock())

    assert getattr(slopes.substitution, name) == pytest.approx(differences(moved), abs=DIFFERENCES)


def test_forward_and_backward_agree(case):
    """⟨gradient, direction⟩ of the adjoint equals the forward sensitivity of the same outcome."""
    _, ready, (_, slopes, _) = case
    draw = np.random.default_rng(0)
    direction = jax.tree.map(lambda leaf: jnp.asarray(draw.normal(0, 0.1, leaf.shape)), ready.levers)
    fields, _ = adjoint.sensitivity(ready, direction)
    products = jax.tree.map(lambda a, b: float(jnp.sum(a * b)), slopes, direction)
    worth = adjoint.gradient(ready, first_income)[0]
    forward = float(fields["real_income_change"][0]) / np.exp(worth)
    assert forward == pytest.approx(sum(jax.tree.leaves(products)), rel=1e-9, abs=1e-11)


def test_banned_flows_have_no_slope():
    economy = economies.economy(3)
    _, slopes, _ = adjoint.gradient(at(economy, ("trade_cost",)), first_income)
    assert (np.asarray(slopes.log_cost)[:, 2, 3] == 0).all()
    assert slopes.tariff is None


def test_small_step_is_what_the_slope_says():
    """Envelope: at an undistorted point dearer imports cost their share of income at given terms of trade, and no more."""
    economy = economies.economy(3)
    ready = adjoint.differentiable(economy, Shock(), solve(economy, Shock()), ("trade_cost",))
    worth, slopes, _ = adjoint.gradient(ready, first_income)
    assert worth == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(slopes.log_cost).all()


def test_instruments_and_evasion_are_refused():
    economy = economies.economy(3)
    given = Shock(evasion=Evasion(hubs=("N2",), margin=0.3))
    with pytest.raises(InputError, match="no derivative"):
        adjoint.differentiable(economy, given, solve(economy, Shock()), ("trade_cost",))


def test_no_equilibrium_no_derivative():
    economy = economies.economy(3)
    found = dataclasses.replace(solve(economy, Shock()), residual=1e-3)
    with pytest.raises(ConvergenceError, match="no derivative"):
        adjoint.differentiable(economy, Shock(), found, ("trade_cost",))
