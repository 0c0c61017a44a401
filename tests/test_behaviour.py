"""What must hold whatever the nests, the mobility of factors and the resources, searched by Hypothesis.

Tolerances as in `tests.test_properties`. A setting is a draw of six elasticities in [0, 2], with exactly 0, exactly 1 and
1 to within 1e-9 drawn often, a mobility and, or not, resources; the energy goods are always the first sector, so that
programs compile once for each kind of setting.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detente.economy import Economy
from detente.equilibrium import balance, solve
from detente.errors import ConvergenceError, InfeasibleError, InputError
from detente.nests import KEYS, Substitution
from detente.shock import Shock
from tests import economies
from tests.test_properties import EXACT, SAME, SOLVED

ENERGY = (0,)
seeds = st.integers(0, 10_000)
closures = st.sampled_from(["share-of-world", "share-of-own", "fixed"])
elasticities = st.one_of(st.sampled_from([0.0, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0]), st.floats(0, 2))
behaviours = st.fixed_dictionaries(
    {
        "nests": st.fixed_dictionaries(dict.fromkeys(KEYS, elasticities)),
        "mobility": st.sampled_from([1.0, 1.3, 3.0, np.inf]),
        "resources": st.booleans(),
    }
)
HARDEST = {"nests": dict.fromkeys(KEYS, 0.0), "mobility": 3.0, "resources": True}
LEAST = 0.3  # of elasticities where factors hardly move: below, some sector's factors would have to be had for nothing


def resources(seed: int, sectors: int = economies.SECTORS) -> np.ndarray:
    """ρ [country, sector]: up to 0.9 in the first sector, none in the last."""
    share = np.random.default_rng(seed + 20_000).uniform(0, 0.9, (economies.COUNTRIES, sectors))
    share[:, -1] = 0
    return share


def nests_of(behaviour: dict) -> Substitution:
    """The drawn nests, away from Leontief where factors hardly move."""
    least = LEAST if behaviour["mobility"] < 3 else 0.0
    values = {name: max(value, least) for name, value in behaviour["nests"].items()}
    return Substitution.of(**values, energy_goods=ENERGY)


def behaving(economy: Economy, behaviour: dict, seed: int) -> Economy:
    """The economy with the drawn behaviour."""
    return economy.with_behaviour(
        substitution=nests_of(behaviour),
        factor_mobility=behaviour["mobility"],
        resource_share=resources(seed) if behaviour["resources"] else None,
    )


def result(economy, shock):
    return solve(economy, shock, tolerance=SOLVED)


def mild(seed: int) -> Shock:
    """As `economies.shock`, with costs from × 0.9 to × 1.5: Leontief worlds with stuck factors have an answer to them."""
    shock = economies.shock(seed)
    return dataclasses.replace(shock, trade_cost_change=np.sqrt(np.asarray(shock.trade_cost_change)))


@given(seeds, closures, behaviours)
@example(1, "fixed", HARDEST)
@settings(max_examples=4)
def test_no_shock_changes_nothing(seed, closure, behaviour):
    economy = behaving(economies.economy(seed, closure), behaviour, seed)
    found = result(economy, Shock())
    assert found.real_income_change == pytest.approx(1, abs=EXACT)
    assert found.price_change == pytest.approx(1, abs=EXACT)
    assert np.asarray(found.factor_price_change) == pytest.approx(1, abs=EXACT)
    assert np.asarray(found.output) == pytest.approx(np.asarray(economy.output), abs=EXACT)
    assert found.trade_share() == pytest.approx(np.asarray(economy.trade_share), abs=EXACT)


@given(seeds, closures, behaviours)
@example(2, "share-of-own", HARDEST)
@settings(max_examples=4)
def test_accounts_close_after_any_shock(seed, closure, behaviour):
    """Balances sum to nil (Walras); factors earn what sectors pay; incomes are factor income, revenue and deficit."""
    economy, shock = behaving(economies.economy(seed, closure), behaviour, seed), mild(seed)
    found = result(economy, shock)
    assert found.trade_share().sum(axis=1) == pytest.approx(1, abs=SAME)
    tax, net = np.asarray(shock.export_tax_new), found.trade()
    border = net * (1 + tax)
    imports, exports = border.sum(axis=(1, 2)), border.sum(axis=(0, 2))
    assert imports - exports == pytest.approx(np.asarray(found.deficit), abs=SAME)
    assert float(found.deficit.sum()) == pytest.approx(0, abs=EXACT)
    assert net.sum(axis=0) == pytest.approx(np.asarray(found.output), abs=SAME)
    earned = np.asarray(found.value_added).sum(axis=1)
    assert earned.sum() == pytest.approx(1, abs=SAME)
    revenue = np.asarray(found.tariff_revenue) + np.asarray(found.export_tax_revenue)
    assert np.asarray(found.income) == pytest.approx(earned + revenue + np.asarray(found.deficit), abs=SAME)
    rates = np.asarray(shock.tariff_new) * border
    assert rates.sum(axis=(1, 2)) == pytest.approx(np.asarray(found.tariff_revenue), abs=SAME)
    assert (found.trade_share()[np.asarray(shock.blocked)] == 0).all()


@given(seeds, behaviours)
@settings(max_examples=4)
def test_factors_earn_what_their_mobility_allows(seed, behaviour):
    """Income of sector k is s_k ω_k^μ ŵ^(1−μ); a resource's rent takes its share; mobile factors keep ŵ on average."""
    economy = behaving(economies.economy(seed), behaviour, seed)
    found = result(economy, mild(seed))
    rho = resources(seed) if behaviour["resources"] else np.zeros(economy.output.shape)
    at_rest = np.asarray(economy.value_added_share * economy.output)
    growth = np.asarray(found.value_added) / at_rest
    wage = np.asarray(found.wage_change)[:, None]
    own = wage * (growth / wage) ** (1 / behaviour["mobility"])
    assert np.asarray(found.factor_price_change) == pytest.approx(growth**rho * own ** (1 - rho), rel=SAME)
    mobile = (1 - rho) * at_rest
    assert (mobile * growth).sum(axis=1) == pytest.approx((mobile * wage).sum(axis=1), rel=SAME)


@given(seeds, closures, behaviours, st.permutations(range(economies.COUNTRIES)), st.booleans())
@settings(max_examples=4)
def test_order_of_countries_and_sectors_does_not_matter(seed, closure, behaviour, order, sectors_too):
    """The energy good stays the first sector (a static fact); the two others change places."""
    order, places = np.array(order), np.array([0, 2, 1] if sectors_too else [0, 1, 2])
    shares, shock, rho = economies.shares(seed), mild(seed), resources(seed)
    moved = economies.permuted(shares, order)
    for name, value in moved.items():
        if name in ("trade_share", "tariff", "export_tax"):
            moved[name] = value[:, :, places]
        elif name in ("value_added_share", "consumption_share"):
            moved[name] = value[:, places]
        elif name == "input_share":
            moved[name] = value[:, places][:, :, places]
        elif name == "trade_elasticity":
            moved[name] = value[places]
    moved_shock = economies.permuted_shock(shock, order)
    fields = ("trade_cost_change", "weight_change", "tariff_new", "export_tax_new", "blocked", "entry")
    moved_shock = dataclasses.replace(
        moved_shock, **{name: np.asarray(getattr(moved_shock, name))[:, :, places] for name in fields}
    )
    how = {
        "substitution": nests_of(behaviour),
        "factor_mobility": behaviour["mobility"],
    }
    one = Economy.from_shares(
        **shares, closure=closure, **how, resource_share=rho if behaviour["resources"] else None
    )
    other = Economy.from_shares(
        **moved,
        closure=closure,
        **how,
        resource_share=rho[order][:, places] if behaviour["resources"] else None,
    )
    plain, turned = result(one, shock), result(other, moved_shock)
    for name in ("real_income_change", "wage_change", "income"):
        assert np.asarray(getattr(turned, name)) == pytest.approx(
            np.asarray(getattr(plain, name))[order], rel=SAME
        )
    assert np.asarray(turned.price_change) == pytest.approx(
        np.asarray(plain.price_change)[order][:, places], rel=SAME
    )


@given(seeds, st.floats(1e-6, 1e9), behaviours)
@settings(max_examples=4)
def test_the_currency_unit_does_not_matter(seed, unit, behaviour):
    shares, shock = economies.shares(seed), mild(seed)
    scaled = shares | {name: unit * shares[name] for name in ("value_added", "deficit")}
    plain, other = (
        result(behaving(Economy.from_shares(**given_shares), behaviour, seed), shock)
        for given_shares in (shares, scaled)
    )
    assert np.asarray(other.real_income_change) == pytest.approx(
        np.asarray(plain.real_income_change), rel=SAME
    )


@given(seeds, behaviours)
@settings(max_examples=4)
def test_impose_then_lift_returns_to_the_start(seed, behaviour):
    """The imposed world, its shares of costs, spending and factors taken as a baseline of its own and relieved again.

    With mobile factors and any nests; where factors are stuck the imposed world's incomes are its new endowment, from which
    the way back is the same.
    """
    economy = behaving(balance(economies.economy(seed, "fixed"), tolerance=SOLVED), behaviour, seed)
    shock = dataclasses.replace(mild(seed), blocked=None, entry=None)
    imposed = result(economy, shock)
    spent, made = np.asarray(imposed.spending), np.asarray(imposed.output)
    price, cost = np.asarray(imposed.price_change), np.asarray(imposed.cost_change)
    gamma, v, alpha = _new_shares(economy, price, cost, np.asarray(imposed.factor_price_change))
    assert (gamma * made[:, None, :]).sum(axis=2) + alpha * np.asarray(imposed.income)[
        :, None
    ] == pytest.approx(spent, abs=SAME)
    there = Economy.from_shares(
        countries=economy.countries,
        sectors=economy.sectors,
        trade_share=imposed.trade_share(),
        input_share=gamma,
        value_added_share=v,
        consumption_share=alpha,
        value_added=np.asarray(imposed.value_added).sum(axis=1),
        deficit=np.zeros(economies.COUNTRIES),
        trade_elasticity=economy.trade_elasticity,
        tariff=shock.tariff_new,
        export_tax=shock.export_tax_new,
        closure="balanced",
    )
    lifted = result(
        behaving(there, behaviour, seed),
        Shock(
            trade_cost_change=1 / np.asarray(shock.trade_cost_change),
            weight_change=1 / np.asarray(shock.weight_change),
            tariff_new=economy.tariff,
            export_tax_new=economy.export_tax,
        ),
    )
    back = np.asarray(imposed.real_income_change) * np.asarray(lifted.real_income_change)
    assert back == pytest.approx(1, abs=SAME)
    assert lifted.trade_share() == pytest.approx(np.asarray(economy.trade_share), abs=SAME)
    assert np.asarray(lifted.value_added) == pytest.approx(
        np.asarray(economy.value_added_share * economy.output), abs=SAME
    )


def _new_shares(economy, price, cost, paid):
    """γ', v' and α' from prices by the CES formulas (`benchmarks.conditions`, which shares no code with the engine)."""
    from benchmarks.conditions import consumption, production

    again, v, gamma = production(economy, paid, price)
    assert again == pytest.approx(cost, rel=SAME)
    return gamma, v, consumption(economy, price)[1]


@given(seeds, st.floats(LEAST, 2), st.floats(LEAST, 2), st.sampled_from([1.0, 1.3, np.inf]), st.booleans())
@settings(max_examples=4)
def test_a_sector_split_in_two_identical_halves_changes_nothing(seed, top, among, mobility, with_resources):
    """Neutral for every nest as long as both halves stay in the same one: identical goods have one price, and a CES bundle
    of equal prices costs what its parts cost, whatever the elasticity between them. So it is with stuck factors and
    resources: both halves' incomes grow alike."""
    shares, shock = economies.shares(seed), mild(seed)

    def twice(values, axis, half):
        part = np.take(values, [0], axis=axis)
        part = 0.5 * part if half else part
        return np.concatenate([part, part, np.delete(values, 0, axis=axis)], axis=axis)

    whole_axis = {
        "trade_share": 2,
        "value_added_share": 1,
        "trade_elasticity": 0,
        "tariff": 2,
        "export_tax": 2,
    }
    split = shares | {name: twice(shares[name], axis, False) for name, axis in whole_axis.items()}
    split |= {
        "sectors": ["S0a", "S0b", "S1", "S2"],
        "input_share": twice(twice(shares["input_share"], 1, True), 2, False),
        "consumption_share": twice(shares["consumption_share"], 1, True),
    }
    split_shock = Shock(
        **{
            f.name: twice(np.asarray(getattr(shock, f.name)), 2, False)
            for f in dataclasses.fields(shock)
            if f.name not in economies.NO_ARRAYS
        }
    )
    rho = resources(seed)
    nests = {"value_added": top, "inputs": among, "consumption": top, "energy": LEAST, "energy_mix": 1.4}
    plain, halves = (
        result(
            Economy.from_shares(
                **given_shares,
                substitution=Substitution.of(**nests, energy_goods=energy),
                factor_mobility=mobility,
                resource_share=share if with_resources else None,
            ),
            change,
        )
        for given_shares, energy, share, change in (
            (shares, (0,), rho, shock),
            (split, (0, 1), twice(rho, 1, False), split_shock),
        )
    )
    for name in ("real_income_change", "wage_change"):
        assert np.asarray(getattr(halves, name)) == pytest.approx(np.asarray(getattr(plain, name)), rel=SAME)
    assert np.asarray(halves.value_added)[:, :2].sum(axis=1) == pytest.approx(
        np.asarray(plain.value_added)[:, 0], rel=SAME
    )


@given(seeds, behaviours)
@settings(max_examples=4)
def test_a_ban_is_exact_and_the_limit_of_growing_icebergs(seed, behaviour):
    economy = behaving(economies.economy(seed), behaviour, seed)
    blocked = np.zeros(economy.trade_share.shape, bool)
    blocked[0, 1:3] = blocked[3, 2] = blocked[1, 0, 1] = True
    banned = result(economy, Shock(blocked=blocked))
    assert (banned.trade_share()[blocked] == 0).all()
    assert (banned.trade()[blocked] == 0).all()
    iceberg = result(economy, Shock(trade_cost_change=np.where(blocked, 1e9, 1.0)))
    assert np.asarray(iceberg.real_income_change) == pytest.approx(
        np.asarray(banned.real_income_change), abs=SAME
    )


@given(seeds, closures)
@settings(max_examples=4)
def test_unit_elasticities_and_mobile_factors_are_the_plain_model(seed, closure):
    """The nested path at one, and the path of stuck factors at a mobility of 1e12, against Cobb–Douglas and one wage."""
    economy, shock = economies.economy(seed, closure), economies.shock(seed)
    plain = result(economy, shock)
    nested = result(economy.with_behaviour(substitution=Substitution.of(energy_goods=ENERGY)), shock)
    for name in ("real_income_change", "wage_change", "price_change", "output", "spending"):
        assert np.asarray(getattr(nested, name)) == pytest.approx(np.asarray(getattr(plain, name)), rel=SAME)
    nearly = result(economy.with_behaviour(factor_mobility=1e12), shock)
    assert np.asarray(nearly.real_income_change) == pytest.approx(
        np.asarray(plain.real_income_change), rel=SAME
    )


@given(seeds, behaviours)
@settings(max_examples=4)
def test_a_duty_nobody_changes_changes_nothing(seed, behaviour):
    economy = behaving(economies.economy(seed), behaviour, seed)
    same = result(economy, Shock(tariff_new=economy.tariff, export_tax_new=economy.export_tax))
    assert np.asarray(same.real_income_change) == pytest.approx(1, abs=EXACT)
    none = result(economy, Shock(tariff_new=0.0, export_tax_new=0.0))
    assert (np.asarray(none.tariff_revenue) == 0).all()
    assert (np.asarray(none.export_tax_revenue) == 0).all()


@given(st.integers(0, 200), behaviours)
@settings(max_examples=4)
def test_a_country_in_full_autarky(seed, behaviour):
    """Alone, a country's prices follow from its own shares; those of the others no longer matter to it."""
    economy = behaving(balance(economies.economy(seed, "fixed"), tolerance=SOLVED), behaviour, seed)
    blocked = np.zeros(economy.trade_share.shape, bool)
    blocked[0] = blocked[:, 0] = True
    blocked[0, 0] = False
    alone = result(economy, Shock(blocked=blocked))
    pi, theta = np.asarray(economy.trade_share)[0, 0], np.asarray(economy.trade_elasticity)
    price, cost = np.asarray(alone.price_change)[0], np.asarray(alone.cost_change)[0]
    assert price == pytest.approx(pi ** (-1 / theta) * cost, rel=SAME)
    assert float(alone.income[0]) == pytest.approx(float(alone.value_added[0].sum()), rel=SAME)
    far = Shock(blocked=blocked, trade_cost_change=np.where(np.eye(4, dtype=bool), 1, 1.4)[:, :, None])
    again = result(economy, far)
    assert float(again.real_income_change[0]) == pytest.approx(float(alone.real_income_change[0]), rel=SAME)
    with pytest.raises(InfeasibleError, match="N0 off"):
        solve(behaving(economies.economy(3, "fixed"), behaviour, 3), Shock(blocked=blocked))


def test_a_country_of_resources_alone_is_refused():
    """Where every sector's value added is all rent there is no mobile factor whose wage could clear a market."""
    share = np.zeros((economies.COUNTRIES, economies.SECTORS))
    share[1] = 1.0
    with pytest.raises(InputError, match="N1"):
        economies.economy(0).with_behaviour(resource_share=share)


@pytest.mark.parametrize("mobility", [1.0, 3.0, np.inf])
def test_a_sector_without_output_may_enter_where_resources_are(mobility):
    """A newcomer has no resource income to speak of; accounts close all the same."""
    shares = economies.shares(4)
    shares["trade_share"][:, 0, 0] = 0.0
    shares["trade_share"][0, 1, 0] = 0.3
    shares["trade_share"] /= shares["trade_share"].sum(axis=1, keepdims=True)
    economy = Economy.from_shares(**shares, factor_mobility=mobility, resource_share=resources(4))
    assert float(economy.output[0, 0]) == 0
    entry = np.zeros((4, 4, 3))
    entry[:, 0, 0] = 0.2
    found = result(economy, Shock(entry=entry))
    assert float(found.output[0, 0]) > 0
    revenue = np.asarray(found.tariff_revenue) + np.asarray(found.export_tax_revenue)
    earned = np.asarray(found.value_added).sum(axis=1)
    assert np.asarray(found.income) == pytest.approx(earned + revenue + np.asarray(found.deficit), abs=SAME)


@pytest.mark.parametrize("by_sector", [False, True])
@pytest.mark.parametrize("mobility", [1.0, np.inf])
def test_a_search_that_fails_where_nothing_gives_way_says_so(monkeypatch, mobility, by_sector):
    from detente import equilibrium
    from detente.search import Found
    from detente.system import start

    economy = economies.economy(1)
    top = np.zeros(len(economy.sectors)) if by_sector else 0.0
    rigid = Substitution.of(value_added=top, inputs=0.0, consumption=0.0)
    economy = economy.with_behaviour(substitution=rigid, factor_mobility=mobility)
    monkeypatch.setattr(
        equilibrium,
        "search",
        lambda economy, at, *_: Found(start(economy, at), residual=1.0, steps=1, sweeps=1),
    )
    wanted = "Nothing in this economy gives way" if mobility == 1.0 else "The solver stopped before"
    with pytest.raises(ConvergenceError, match=wanted):
        solve(economy, Shock())
