"""Price caps, quotas, bans on services and producers' rules: closed forms, directions of theory, accounts, refusals."""

import dataclasses

import numpy as np
import pytest

import detente as dt
from detente import market
from detente.economy import Economy
from detente.equilibrium import solve
from detente.errors import ConvergenceError, InputError
from detente.instruments import PriceCap, Quota
from detente.menu import Producers
from detente.scenario import Scenario, with_producers
from detente.shock import Shock

DIGITS = 1e-8  # of closed forms: conditions are solved to 1e-10, relative
OIL, GOODS = 0, 1


@pytest.fixture(scope="module")
def pair():
    """A buyer without oil, and a seller with a supply elasticity of (1 − ρ)/ρ = 1 who burns none."""
    return Economy.from_shares(
        countries=["B", "S"],
        sectors=["O", "G"],
        trade_share=np.array([[[0, 0.9], [1, 0.1]], [[0, 0.6], [1, 0.4]]]),
        input_share=np.zeros((2, 2, 2)),
        value_added_share=np.ones((2, 2)),
        consumption_share=np.array([[0.1, 0.9], [0, 1]]),
        value_added=np.ones(2),
        deficit=np.zeros(2),
        trade_elasticity=[6, 4],
        resource_share=[[0, 0], [0.5, 0]],
    )


def capped(economy, **keys):
    return solve(economy, Shock(instruments=(PriceCap((0,), (1,), (OIL,), "cap", **keys),)))


@pytest.mark.parametrize("cap", [0.9, 0.6, 0.2])
def test_a_full_cap_in_closed_form(pair, cap):
    """Quantity q̂ = (p̄/ŵ)^η from supply; worth m = α I/q from demand; rent (m − p̄) q, all of it the buyer's."""
    found = capped(pair, cap=cap)
    (came,) = found.bindings
    sold = 0.1 * float(pair.income[0])
    quantity = cap / float(found.wage_change[1])
    worth = 0.1 * float(found.income[0]) / (quantity * sold)
    assert came.binds
    assert float(found.cost_change[1, OIL]) == pytest.approx(cap, rel=DIGITS)
    assert came.volume == pytest.approx(quantity, rel=DIGITS)
    assert came.wedge == pytest.approx(np.log(worth / cap), rel=DIGITS)
    assert float(found.rent[0]) == pytest.approx((worth - cap) * quantity * sold, rel=DIGITS)
    assert float(found.rent[1]) == 0


@pytest.mark.parametrize(("enforced", "shadow"), [(0.5, 0.0), (0.5, 0.2), (0.9, 0.1)])
def test_a_leaking_cap_in_closed_form(pair, enforced, shadow):
    """c = e p̄ + (1 − e) m/(1 + s), so e^t = (c − e p̄)(1 + s)/((1 − e) c)."""
    found = capped(pair, cap=0.7, enforced=enforced, shadow_cost=shadow)
    cost = float(found.cost_change[1, OIL])
    wedge = np.log((cost - enforced * 0.7) * (1 + shadow) / ((1 - enforced) * cost))
    assert found.bindings[0].wedge == pytest.approx(wedge, rel=DIGITS)


def test_a_quota_in_closed_form(pair):
    """Quantity at the ceiling; sellers' price from supply, p = ŵ q^(1/η); worth from demand; the rent where it is said."""
    prices = {}
    for owner in ("importer", "exporter", 1, 0):
        shock = Shock(instruments=(Quota((0,), (1,), (OIL,), "q", ceiling=0.8, rent_to=owner),))
        found = solve(pair, shock)
        cost, sold = float(found.cost_change[1, OIL]), 0.1 * float(pair.income[0])
        worth = 0.1 * float(found.income[0]) / (0.8 * sold)
        place = {"importer": 0, "exporter": 1}.get(owner, owner)
        assert cost == pytest.approx(0.8 * float(found.wage_change[1]), rel=DIGITS)
        assert found.bindings[0].wedge == pytest.approx(np.log(worth / cost), rel=DIGITS)
        assert float(found.rent[place]) == pytest.approx((worth - cost) * 0.8 * sold, rel=DIGITS)
        assert float(found.rent[1 - place]) == 0
        prices[owner] = float(found.real_income_change[1])
    assert prices["exporter"] == pytest.approx(prices[1], rel=DIGITS)
    assert prices["exporter"] > prices["importer"]


def test_rules_that_do_not_bind_change_nothing_at_all(pair):
    free = solve(pair, Shock())
    for instrument in (
        PriceCap((0,), (1,), (OIL,), "cap", cap=1.1),
        Quota((0,), (1,), (OIL,), "quota", ceiling=1.2),
    ):
        found = solve(pair, Shock(instruments=(instrument,)))
        assert found.bindings[0].wedge == 0
        assert not found.bindings[0].binds
        assert found.bindings[0].slack == pytest.approx(
            np.log(1.1 if instrument.name == "cap" else 1.2), abs=1e-9
        )
        assert abs(np.asarray(found.real_income_change - free.real_income_change)).max() < 1e-12


def test_nothing_jumps_at_the_kink(pair):
    """The free price is 1. Just below it the wedge is small, of the order of the distance; at it and above, nil."""
    wedges = [capped(pair, cap=1 + step).bindings[0].wedge for step in (-1e-4, -1e-5, 0.0, 1e-5)]
    assert wedges[0] == pytest.approx(10 * wedges[1], rel=1e-2)
    assert 0 < wedges[1] < 1e-4
    assert wedges[2] == pytest.approx(0, abs=1e-9)
    assert wedges[3] == 0


def test_imposed_and_lifted_is_the_baseline(pair):
    before, again = solve(pair, Shock()), solve(pair, Shock())
    capped(pair, cap=0.5)
    assert abs(np.asarray(before.income - again.income)).max() == 0
    assert abs(np.asarray(again.real_income_change) - 1).max() < 1e-12


# A market of four -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four():
    """The coalition, China, Russia and OPEC+: oil with wells of its own, and goods that burn it."""
    oil = np.array([[0.1, 0, 0.5, 0.4], [0, 0.3, 0.3, 0.4], [0, 0, 1, 0], [0, 0, 0, 1]])
    goods = np.array([[0.8, 0.1, 0.05, 0.05], [0.1, 0.8, 0.05, 0.05], [0.3, 0.2, 0.5, 0], [0.3, 0.2, 0, 0.5]])
    inputs = np.zeros((4, 2, 2))
    inputs[:, OIL, GOODS], inputs[:, GOODS, GOODS] = [0.08, 0.08, 0.02, 0.02], 0.3
    return Economy.from_shares(
        countries=["DEU", "CHN", "RUS", "SAU"],
        sectors=["B06O", "C25"],
        trade_share=np.stack([oil, goods], axis=2),
        input_share=inputs,
        value_added_share=1 - inputs.sum(axis=1),
        consumption_share=np.array([[0.04, 0.96], [0.04, 0.96], [0.01, 0.99], [0.01, 0.99]]),
        value_added=np.ones(4),
        deficit=np.zeros(4),
        trade_elasticity=[8, 4],
        resource_share=np.tile([0.8, 0], (4, 1)),
        unit="USD billion",
        unit_value=1000.0,
    )


def scenario(*measures, cut=0.9):
    embargo = {
        "by": "DEU",
        "on": "RUS",
        "direction": "imports",
        "sectors": "B06O",
        "instrument": "cut",
        "size": cut,
    }
    return Scenario.load({"name": "x", "title": "a test", "measures": [embargo, *measures]})


CAP = {"by": "DEU", "on": "RUS", "sectors": "B06O", "instrument": "price-cap", "cap": 66, "unit": "USD/bbl"}


def russian(outcome):
    return next(each for each in outcome.markets if each.sector == "B06O").after


def test_a_tighter_cap_lowers_the_price_and_raises_the_rent(four):
    found = [dt.simulate(four, scenario({**CAP, "cap": cap})) for cap in (68, 66, 64)]
    prices = [russian(each).price for each in found]
    rents = [float(each.data["rent"].sel(country="CHN")) for each in found]
    assert prices == sorted(prices, reverse=True)
    assert len(set(prices)) == 3
    assert rents == sorted(rents)
    assert rents[0] > 0
    assert prices[1] == pytest.approx(66, rel=1e-8)


def test_more_leakage_less_effect(four):
    found = [dt.simulate(four, scenario({**CAP, "enforced": e})) for e in (1.0, 0.6, 0.2, 0.0)]
    revenue = [russian(each).revenue for each in found]
    assert revenue == sorted(revenue)
    none = dt.simulate(four, scenario())
    assert revenue[-1] == pytest.approx(
        russian(none).revenue, rel=1e-9
    )  # no reach and no dearer ships: no effect


def test_a_moving_cap_keeps_its_discount(four):
    """Whatever the embargo does to the price, sellers get 15 % less than the good is worth."""
    rule = {**{k: v for k, v in CAP.items() if k not in ("cap", "unit")}, "below": 0.15}
    for cut in (0.0, 0.5, 0.9):
        (row,) = dt.simulate(four, scenario(rule, cut=cut)).instrument_results["after"]
        assert row.seller_price / row.buyer_price == pytest.approx(0.85, rel=1e-8)


def test_a_cap_under_the_world_price_follows_it(four):
    """15 % under the world's 100 dollars is above Russia's 76: it does not bind. 40 % under is 60 dollars, and does."""
    rule = {k: v for k, v in CAP.items() if k not in ("cap", "unit")} | {"reference": "world"}
    loose, tight = (
        dt.simulate(four, scenario({**rule, "below": below})).instrument_results["after"][0]
        for below in (0.15, 0.4)
    )
    assert not loose.binds
    assert loose.wedge == 0
    assert tight.binds
    assert tight.seller_price == pytest.approx(0.6 * tight.world_price, rel=1e-8)


def test_what_opec_does(four):
    """An embargo moves the world price; producers who hold it undo that; those who hold their volume move less."""
    plain = scenario(cut=0.95)
    found = {
        rule: dt.simulate(four, with_producers(plain, rule)) for rule in ("none", "hold-price", "hold-volume")
    }
    world = {rule: russian(each).world_price for rule, each in found.items()}
    assert world["none"] != pytest.approx(100, rel=1e-4)
    assert world["hold-price"] == pytest.approx(100, rel=1e-8)
    (held,) = found["hold-volume"].instrument_results["after"]
    assert held.volume == pytest.approx(1, rel=1e-8)
    assert (world["none"] - world["hold-price"]) * (
        russian(found["none"]).price - russian(found["hold-price"]).price
    ) > 0  # Russia's price goes with the world's


def test_spare_capacity_ends(four):
    """Producers who would have to grow by more than they can hold the price no longer."""
    dear = {
        "by": "DEU",
        "on": "SAU",
        "direction": "imports",
        "sectors": "B06O",
        "instrument": "cost",
        "size": -0.3,
    }
    rule = {"by": "SAU", "sectors": "B06O", "instrument": "producers", "rule": "hold-price"}
    tight, ample = (
        dt.simulate(four, scenario(dear, {**rule, "spare": spare}, cut=0.0)) for spare in (0.001, 5.0)
    )
    assert tight.instrument_results["after"][0].volume == pytest.approx(1.001, rel=1e-8)
    assert russian(ample).world_price == pytest.approx(100, rel=1e-8)
    assert russian(tight).world_price > 100.1


def test_a_ban_on_services_is_a_cost(four):
    """The factor 1/((1 − a) + a/(1 + s)) on trade costs, and nothing else."""
    ban = {
        "by": "DEU",
        "on": "RUS",
        "sectors": "B06O",
        "instrument": "services-ban",
        "share": 0.5,
        "cost": 0.25,
    }
    cost = {
        "by": "CHN",
        "on": "RUS",
        "sectors": "B06O",
        "instrument": "cost",
        "direction": "imports",
        "size": 1 / 0.9 - 1,
    }
    one, other = (dt.simulate(four, scenario(each)) for each in (ban, cost))
    assert abs(one.real_income - other.real_income).max() < 1e-9


def test_accounts_close_with_rents(four):
    """What the world spends is what factors, treasuries and rents bring; rents by instrument are the engine's."""
    quota = {
        "by": "CHN",
        "on": "SAU",
        "sectors": "B06O",
        "instrument": "quota",
        "ceiling": 0.9,
        "rent-to": "RUS",
    }
    opec = {"by": "SAU", "sectors": "C25", "instrument": "producers", "rule": "hold-volume"}
    outcome = dt.simulate(four, scenario({**CAP, "enforced": 0.7, "shadow-cost": 0.1}, quota, opec))
    found = outcome.after
    sources = np.asarray(found.value_added).sum() + np.asarray(found.rent).sum()
    assert np.asarray(found.income).sum() == pytest.approx(sources, abs=1e-12)
    assert np.asarray(found.value_added).sum() == pytest.approx(1, abs=1e-12)
    spent = np.asarray(found.spending).sum()
    bought = found.trade().sum()
    assert spent - bought == pytest.approx(np.asarray(found.rent).sum(), abs=1e-10)
    told = [row.rent for row in outcome.instrument_results["after"]]
    for place, code in enumerate(four.countries):
        total = sum(rent.get(code, 0.0) for rent in told)
        assert total == pytest.approx(float(found.rent[place]) * 1000, abs=1e-8)


def test_lifting_returns_to_where_it_was(four):
    both = scenario({**CAP, "id": "cap"}, {"lift": {"by": "DEU", "on": "RUS", "id": "cap"}})
    one, other = dt.simulate(four, both), dt.simulate(four, scenario())
    assert one.shock_after.instruments == ()
    assert abs(one.real_income - other.real_income).max() < 1e-12
    back = scenario({**CAP, "id": "cap"}, {"lift": {"by": "DEU"}}, {"snapback": {"by": "DEU"}})
    again = dt.simulate(four, back)
    direct = dt.simulate(four, scenario(CAP))
    assert abs(again.real_income - direct.real_income).max() < 1e-9


def test_the_summary_tells_prices_and_rents(four):
    outcome = dt.simulate(four, scenario(CAP))
    text = outcome.summary()
    assert "Russia's exports" in text
    assert "binds at 66 USD/bbl" in text
    assert outcome.instruments.loc[0, "binds"]
    assert outcome.instruments.loc[0, "rent"] > 0
    plain = outcome.to_json()
    assert plain["instruments"]["after"][0]["total_rent"] == pytest.approx(float(outcome.data["rent"].sum()))
    assert plain["markets"][0]["after"]["price"] < plain["markets"][0]["before"]["price"]
    assert dataclasses.asdict(outcome.markets[0].after)["volume"] < 1
    assert market.summary([], [], "USD billion") == []


BAD = {
    "both": ({"below": 0.1}, "either `cap`"),
    "none": ({"cap": None}, "number"),
    "no price": ({"sectors": "C25"}, "no price of"),
    "unit": ({"unit": "EUR/bbl"}, "unit"),
    "enforced": ({"enforced": 1.5}, "at most 1"),
    "own side": ({"to": "RUS"}, "a seller itself"),
    "both sides": ({"by": ["DEU", "RUS"]}, "both sender and target"),
    "other key": ({"ceiling": 0.5}, "has no meaning"),
    "negative": ({"cap": -1}, "above 0"),
    "no target": ({"on": "SAUD"}, "SAUD"),
    "sector": ({"sectors": "B06P"}, "B06P"),
    "range": ({"range": [0.7, 0.3]}, "smaller number first"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_words(four, name):
    change, words = BAD[name]
    with pytest.raises(InputError, match=words):
        scenario({**CAP, **change}).shock(four)


def test_more_refusals(four):
    with pytest.raises(InputError, match="reaches already"):
        scenario(CAP, {**CAP, "cap": 50}).shock(four)
    with pytest.raises(InputError, match="needs the key `share`"):
        scenario({"by": "DEU", "on": "RUS", "sectors": "B06O", "instrument": "services-ban", "cost": 1})
    quota = {"by": "CHN", "on": "RUS", "sectors": "B06O", "instrument": "quota", "rent-to": "DEU,CHN"}
    with pytest.raises(InputError, match="rent-to"):
        scenario(quota).shock(four)
    with pytest.raises(InputError, match="hold-price"):
        with_producers(scenario(), "hold-prices")
    with pytest.raises(InputError, match="no meaning for `producers`"):
        Producers(by="SAU", sectors="B06O", on="RUS")
    with pytest.raises(InputError, match="ends nothing"):
        scenario(CAP, {"lift": {"by": "CHN", "instrument": "price-cap"}}).shock(four)


def test_an_error_of_a_file_names_line_and_measure(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\ntitle: a test\nmeasures:\n  - by: DEU\n    on: RUS\n    sectors: crude\n"
        "    instrument: price-cap\n    cap: 60\n    unit: USD/bbl\n    shadow-costs: 0.1\n"
    )
    with pytest.raises(InputError, match=r"line 10, measure 1.*shadow-cost"):
        Scenario.load(file)
    file.write_text(file.read_text().replace("shadow-costs: 0.1", "enforced: 2"))
    with pytest.raises(InputError, match=r"line 4, measure 1.*enforced"):
        Scenario.load(file)


def test_the_world_that_a_scenario_needs():
    assert Scenario.load("price-cap-60").world == "energy"
    assert Scenario.load("price-cap-60").horizon == "medium"
    assert scenario(CAP).world == "energy"  # by its sector
    assert Scenario.load("us-relief").world == ""
    sentence = Scenario.load("price-cap-60").sentences()[-1]
    assert "at 60 USD/bbl, reaching 50 % of them" in sentence


def test_a_cap_that_nobody_sells_at(four):
    """Sellers with costs above the cap stop selling: exactly the ban of these sales, and costs without them show why."""
    for economy, cap in ((four.with_behaviour(resource_share=None), 55), (four, 5)):
        outcome = dt.simulate(economy, scenario({**CAP, "cap": cap}))
        (row,) = outcome.instrument_results["after"]
        assert row.volume == 0
        assert row.seller_price > cap
        assert np.isinf(row.wedge)
        ban = {"by": "CHN", "on": "RUS", "direction": "imports", "sectors": "B06O", "instrument": "ban"}
        assert abs(outcome.real_income - dt.simulate(economy, scenario(ban)).real_income).max() < 1e-9
        assert "ends the sales" in outcome.summary()
        assert outcome.to_json()["instruments"]["after"][0]["wedge"] is None


def test_a_cap_that_contradicts_the_rest_says_so(pair):
    """Constant costs above the cap, and a buyer without another seller."""
    free = pair.with_behaviour(resource_share=None)
    with pytest.raises(ConvergenceError, match="loosen it, or allow leakage"):
        capped(free, cap=0.5)
