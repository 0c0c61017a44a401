"""Producers and final users with import mixes of their own, against levels solved by a general root-finder and themselves.

Tolerances as in `tests.test_witness` and `tests.test_properties`: both sides stop near 1e-11 against brute force; elsewhere
solves go to 1e-13 and are compared at 1e-10, exact reversals at 1e-12.
"""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import root

import detente as dt
from detente.economy import Economy
from detente.equilibrium import balance, solve
from detente.errors import InputError
from detente.evasion import Evasion
from detente.instruments import Quota
from detente.nests import Substitution
from detente.shock import Shock
from tests import brute_force as brute
from tests import economies

EIGHT_DIGITS, SAME, EXACT, SOLVED = 1e-8, 1e-10, 1e-12, 1e-13
RESULTS = ("real_income_change", "wage_change", "price_change", "consumer_price_change", "output", "spending")


def shares(seed: int, same: bool = False) -> dict:
    """Arguments for `Economy.from_shares` with a mix for each use."""
    given = economies.shares(seed)
    mine = given.pop("trade_share")
    return given | {
        "use_share": np.stack([mine, mine if same else economies.shares(seed + 500)["trade_share"]])
    }


def levels(given: brute.Primitives, final_taste: np.ndarray, start: np.ndarray | None = None) -> dict:
    """The textbook model in levels, plain loops: tastes of producers in `given`, of final users beside it."""
    n, s = given.productivity.shape

    def gaps(x: np.ndarray) -> tuple[np.ndarray, dict]:
        values = np.exp(x)
        wage, price = values[:n], values[n : n + n * s].reshape(n, s)
        used, wanted = values[n + n * s :].reshape(2, n, s)
        cost = brute._unit_cost(wage, price, given)
        mix, index = brute._demand(cost, given)
        final_mix, final_index = brute._demand(cost, replace(given, taste=final_taste))
        output, revenue, trade = np.zeros((n, s)), np.zeros(n), np.zeros((n, n, s))
        for share, spent in ((mix, used), (final_mix, wanted)):
            for b in range(n):
                for i in range(n):
                    for j in range(s):
                        paid = share[b, i, j] * spent[b, j]
                        border = paid / (1 + given.tariff[b, i, j])
                        received = border / (1 + given.export_tax[b, i, j])
                        revenue[b] += paid - border
                        revenue[i] += border - received
                        output[i, j] += received
                        trade[b, i, j] += received
        earned = wage * given.labour
        transfer = brute._transfer(earned, revenue, given)
        income = earned + revenue + transfer
        needs = np.array([given.input_share[b] @ output[b] for b in range(n)])
        market = np.log((given.value_added_share * output).sum(axis=1)) - np.log(earned)
        market[0] = np.log(earned.sum())
        consumption = np.maximum(given.consumption_share * income[:, None], 1e-300)
        sides = (
            market,
            (np.log(index) - np.log(price)).ravel(),
            (np.log(needs) - np.log(used)).ravel(),
            (np.log(consumption) - np.log(wanted)).ravel(),
        )
        consumer = (final_index**given.consumption_share).prod(axis=1)
        return np.concatenate(sides), {
            "wage": wage,
            "prices": np.stack([price, final_index]),
            "cost": cost,
            "output": output,
            "spending": np.stack([used, wanted]),
            "income": income,
            "consumer": consumer,
            "mix": np.stack([mix, final_mix]),
            "trade": trade,
            "factor_income": earned,
            "revenue": revenue,
            "transfer": transfer,
        }

    if start is None:
        wage = np.full(n, 1 / given.labour.sum())
        spent = np.outer(wage * given.labour, np.full(s, 1 / s)).ravel()
        start = np.log(np.concatenate([wage, np.full(n * s, wage.mean()), spent, spent]))
    found = root(lambda x: gaps(x)[0], start, method="hybr", options={"xtol": 1e-14, "maxfev": 20000})
    left, result = gaps(found.x)
    assert np.abs(left).max() < 1e-11
    return result | {"x": found.x}


@pytest.mark.parametrize("rule", ["fixed", "share-of-world"])
@pytest.mark.parametrize("seed", [1, 2])
def test_own_mixes_equal_brute_force(rule: str, seed: int):
    """Costs, duties and a ban at once, on an economy whose two uses have different tastes for sellers."""
    given = brute.random_primitives(seed, 3, 2)
    draw = np.random.default_rng(seed + 2000)
    taste = draw.uniform(0.2, 3, given.taste.shape)
    before = levels(given, taste)
    world = before["factor_income"].sum() + before["revenue"].sum()
    reference = {"world_income": world, "factor_income": before["factor_income"]}
    given = replace(given, rule=rule, reference=reference)
    economy = Economy.from_shares(
        countries=["A", "B", "C"],
        sectors=["S", "T"],
        use_share=before["mix"],
        input_share=given.input_share,
        value_added_share=given.value_added_share,
        consumption_share=given.consumption_share,
        value_added=before["factor_income"],
        deficit=before["transfer"],
        trade_elasticity=given.theta,
        tariff=given.tariff,
        export_tax=given.export_tax,
        closure=rule,
    )
    abroad = np.broadcast_to(~np.eye(3, dtype=bool)[:, :, None], taste.shape)
    cost = np.where(abroad, draw.uniform(0.8, 1.8, taste.shape), 1.0)
    tariff = np.where(abroad, draw.uniform(0, 0.6, taste.shape), 0.0)
    blocked = np.zeros(taste.shape, bool)
    blocked[0, 1] = True
    changed = replace(
        given, iceberg=given.iceberg * cost, tariff=tariff, taste=np.where(blocked, 0, given.taste)
    )
    after = levels(changed, np.where(blocked, 0, taste), before["x"])
    found = solve(economy, Shock(trade_cost_change=cost, tariff_new=tariff, blocked=blocked), tolerance=1e-12)
    pairs = {
        "wage_change": after["wage"] / before["wage"],
        "cost_change": after["cost"] / before["cost"],
        "use_price_change": after["prices"] / before["prices"],
        "consumer_price_change": after["consumer"] / before["consumer"],
        "use_spending": after["spending"],
        "spending": after["spending"].sum(axis=0),
        "output": after["output"],
        "income": after["income"],
        "deficit": after["transfer"],
    }
    for name, true in pairs.items():
        assert np.abs(np.asarray(getattr(found, name)) - true).max() < EIGHT_DIGITS, name
    assert np.abs(found.trade() - after["trade"]).max() < EIGHT_DIGITS
    assert np.abs(found.use_share() - after["mix"]).max() < EIGHT_DIGITS
    common = Economy.from_shares(**_fields(economy), trade_share=economy.trade_share)
    other = solve(common, Shock(trade_cost_change=cost, tariff_new=tariff, blocked=blocked))
    gap = np.asarray(other.real_income_change) - np.asarray(found.real_income_change)
    assert np.abs(gap).max() > 1e-4


def _fields(economy: Economy) -> dict:
    names = "countries sectors input_share value_added_share consumption_share value_added deficit trade_elasticity"
    return {name: getattr(economy, name) for name in f"{names} tariff export_tax closure".split()}


def cases(seed: int) -> dict[str, Shock]:
    """A shock of every kind, with a quota, and with a way around through a hub."""
    plain = economies.shock(seed)
    quota = Quota(importers=(1,), exporters=(0,), sectors=(1,), name="quota", ceiling=0.5)
    blocked = np.zeros((4, 4, 3), bool)
    blocked[2, 3] = True
    around = Evasion(hubs=("N0", "N1"), margin=0.1, ease=0.5)
    return {
        "plain": plain,
        "quota": Shock(instruments=(quota,)),
        "evasion": Shock(blocked=blocked, evasion=around),
    }


@pytest.mark.parametrize(
    "kind", ["plain", *(pytest.param(each, marks=pytest.mark.slow) for each in ("quota", "evasion"))]
)
@pytest.mark.parametrize("behaviour", ["cobb-douglas", "nested", "stuck"])
def test_the_same_mix_twice_is_one_mix(kind: str, behaviour: str):
    changes: dict = {}
    if behaviour != "cobb-douglas":
        changes["substitution"] = Substitution.of(value_added=0.5, inputs=0.3, consumption=0.7)
    if behaviour == "stuck":
        changes["factor_mobility"] = 1.5
    given = economies.shares(4)
    one = Economy.from_shares(**given, **changes)
    two = Economy.from_shares(**shares(4, same=True), **changes)
    shock = cases(4)[kind]
    tolerance = 1e-11 if kind == "quota" else SOLVED
    first, second = (solve(each, shock, tolerance=tolerance) for each in (one, two))
    for name in RESULTS:
        assert np.asarray(getattr(second, name)) == pytest.approx(
            np.asarray(getattr(first, name)), rel=SAME, abs=SAME
        )
    assert second.trade() == pytest.approx(first.trade(), abs=SAME)
    assert second.re_exports() == pytest.approx(first.re_exports(), abs=SAME)
    assert second.sweeps <= 2 * first.sweeps


@pytest.mark.parametrize("closure", ["share-of-world", "share-of-own", "fixed"])
@pytest.mark.parametrize("seed", range(4))
def test_accounts_close_and_no_shock_changes_nothing(seed: int, closure: str):
    economy, shock = Economy.from_shares(**shares(seed), closure=closure), economies.shock(seed)
    assert max(economy.identities().values()) < EXACT
    still = solve(economy, Shock(), tolerance=SOLVED)
    assert np.asarray(still.real_income_change) == pytest.approx(1, abs=EXACT)
    assert still.trade_share() == pytest.approx(np.asarray(economy.trade_share), abs=EXACT)
    assert still.use_share() == pytest.approx(np.asarray(economy.use_share), abs=EXACT)
    found = solve(economy, shock, tolerance=SOLVED)
    assert found.trade_share().sum(axis=1) == pytest.approx(1, abs=SAME)
    net = found.trade()
    border = net * (1 + np.asarray(shock.export_tax_new))
    assert net.sum(axis=0) == pytest.approx(np.asarray(found.output), abs=SAME)
    assert border.sum(axis=(1, 2)) - border.sum(axis=(0, 2)) == pytest.approx(
        np.asarray(found.deficit), abs=SAME
    )
    duties = (np.asarray(shock.tariff_new) * border).sum(axis=(1, 2))
    assert duties == pytest.approx(np.asarray(found.tariff_revenue), abs=SAME)
    wanted = np.asarray(found.use_spending)[1].sum(axis=1)
    assert wanted == pytest.approx(np.asarray(found.income), abs=SAME)
    assert np.asarray(found.use_spending).sum(axis=0) == pytest.approx(np.asarray(found.spending), abs=EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_impose_then_lift_returns_to_the_start(seed: int):
    economy = balance(Economy.from_shares(**shares(seed), closure="fixed"), tolerance=SOLVED)
    shock = dataclasses.replace(economies.shock(seed), blocked=None, entry=None)
    imposed = solve(economy, shock, tolerance=SOLVED)
    given = _fields(economy) | {"tariff": shock.tariff_new, "export_tax": shock.export_tax_new}
    there = Economy.from_shares(
        **given | {"value_added": imposed.wage_change * economy.value_added}, use_share=imposed.use_share()
    )
    back = Shock(
        trade_cost_change=1 / np.asarray(shock.trade_cost_change),
        weight_change=1 / np.asarray(shock.weight_change),
        tariff_new=economy.tariff,
        export_tax_new=economy.export_tax,
    )
    lifted = solve(there, back, tolerance=SOLVED)
    both = np.asarray(imposed.real_income_change) * np.asarray(lifted.real_income_change)
    assert both == pytest.approx(1, abs=EXACT)
    assert lifted.use_share() == pytest.approx(np.asarray(economy.use_share), abs=EXACT)


def test_calibrated_by_use_the_table_comes_back():
    """Trade of the baseline is the table's, use by use, and the choice is recorded."""
    world = dt.World.load("tiny")
    economy = dt.calibrate(world, sourcing="by-use")
    assert economy.provenance["sourcing"] == "by-use"
    assert "sourcing" not in dt.calibrate(world).provenance
    spent = economy.buyer_spending.reshape(2, len(world.countries), 1, len(world.sectors))
    flows = np.asarray(economy.use_share) * spent * economy.unit_value
    for use, name in enumerate(("intermediate_trade", "final_trade")):
        table = world.data[name].values.transpose(2, 0, 1)
        assert flows[use] == pytest.approx(table, rel=1e-6, abs=1e-6 * table.max())
    outcome = dt.simulate(economy, "embargo")
    assert outcome.converged
    assert "sourcing by use" in outcome.summary()
    assert "RUS" in outcome.changing("USA")


def test_what_by_use_cannot_do_is_refused_by_name():
    economy = dt.calibrate(dt.World.load("tiny"), sourcing="by-use")
    with pytest.raises(InputError, match="sourcing='common'"):
        dt.simulate(economy, "embargo").welfare_split()
    with pytest.raises(InputError, match="`by-use`"):
        dt.calibrate(dt.World.load("tiny"), sourcing="by_use")
    with pytest.raises(InputError, match="either `trade_share`"):
        Economy.from_shares(**shares(0), trade_share=economies.shares(0)["trade_share"])
