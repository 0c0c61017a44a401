"""Scenarios: how measures and liftings compose, what YAML may say, and that everything shipped works."""

from dataclasses import replace

import numpy as np
import pytest

from detente import labels
from detente.acts import Keeping, Snapback, Suspension
from detente.calibration import calibrate
from detente.economy import Economy
from detente.errors import InputError
from detente.law import LIFT_RULES
from detente.measure import AUTHORITIES, Lifting, Measure
from detente.prospect import simulate
from detente.scenario import BASELINE, SHIPPED, Scenario, available
from detente.world import World

RUS, USA, XCO, XRW = range(4)  # countries of the tiny world
# A product of a few float64 factors: each multiplication and division may add half a unit in the last place.
ROUNDING = 1e-15


@pytest.fixture(scope="module")
def tiny() -> Economy:
    return calibrate(World.load("tiny"), "uniform-4")


def weight(economy: Economy, *steps: Measure | Lifting) -> np.ndarray:
    """The factor on trade weights that these steps make [importer, exporter, sector]."""
    change = Scenario("test", measures=steps).shock(economy).weight_change
    assert change is not None
    return np.asarray(change)


CUT = Measure("coalition", "RUS", "cut", 0.9, "imports", "GDS", in_data=0.4, id="cut")


# Composition ------------------------------------------------------------------------------------------------


def test_a_cut_imposes_what_the_data_year_does_not_show_yet(tiny: Economy):
    expected = np.ones((4, 4, 3))
    expected[[USA, XCO], RUS, 1] = 0.1 / 0.6
    np.testing.assert_allclose(weight(tiny, CUT), expected, rtol=ROUNDING)


def test_lifting_restores_what_the_data_year_had_lost_for_the_lifter_alone(tiny: Economy):
    expected = np.ones((4, 4, 3))
    expected[USA, RUS, 1] = 1 / 0.6
    expected[XCO, RUS, 1] = 0.1 / 0.6
    np.testing.assert_allclose(weight(tiny, CUT, Lifting("USA", "RUS")), expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    "measure",
    [
        Measure("coalition", "RUS", "cut", 0.9),
        Measure("coalition", "RUS", "ban", sectors="ENE"),
        Measure("coalition", "RUS", "cost", 0.7),
        Measure("coalition", "RUS", "tariff", 0.3),
        Measure("RUS", "coalition", "export-tax", 0.3),
    ],
    ids=lambda measure: measure.instrument,
)
def test_imposing_then_lifting_is_exactly_neutral(tiny: Economy, measure: Measure):
    shock = Scenario("test", measures=[measure, Lifting(measure.by, measure.on)]).shock(tiny)
    changes = [shock.trade_cost_change, shock.weight_change]
    assert all(change is None or (np.asarray(change) == 1).all() for change in changes)
    levels = [shock.blocked, shock.tariff_new, shock.export_tax_new]
    assert all(level is None or not np.asarray(level).any() for level in levels)


def test_the_order_of_unrelated_measures_does_not_matter(tiny: Economy):
    other = Measure("RUS", "USA", "cut", 0.5, "imports")
    np.testing.assert_array_equal(weight(tiny, CUT, other), weight(tiny, other, CUT))


def test_cuts_of_different_measures_multiply(tiny: Economy):
    other = Measure("USA", "RUS", "cut", 0.5, "imports")
    both = weight(tiny, CUT, other)
    np.testing.assert_allclose(both, weight(tiny, CUT) * weight(tiny, other), rtol=ROUNDING)


def test_a_lifting_ends_earlier_measures_and_not_later_ones(tiny: Economy):
    later = Measure("USA", "RUS", "cut", 0.5, "imports", "SRV")
    change = weight(tiny, CUT, Lifting("USA"), later)
    assert change[USA, RUS, 1] == pytest.approx(1 / 0.6, rel=ROUNDING)
    assert change[USA, RUS, 2] == 0.5


def test_a_lifting_ends_the_named_part_only(tiny: Economy):
    exports = Measure("coalition", "RUS", "cut", 0.8, "exports", "GDS", id="out")
    change = weight(tiny, CUT, exports, Lifting("coalition", id="out"))
    np.testing.assert_array_equal(change, weight(tiny, CUT))
    partial = weight(tiny, exports, Lifting("coalition", "RUS", sectors="ENE, GDS", direction="exports"))
    np.testing.assert_array_equal(partial, np.ones((4, 4, 3)))


def test_duties_add_up_and_bans_stay_bans(tiny: Economy):
    steps = [Measure("USA", "RUS", "tariff", size, sectors="GDS") for size in (0.1, 0.25)]
    shock = Scenario("test", measures=[*steps, Measure("XCO", "RUS", "ban")]).shock(tiny)
    tariff, blocked = np.asarray(shock.tariff_new), np.asarray(shock.blocked)
    assert tariff[USA, RUS, 1] == pytest.approx(0.35, rel=ROUNDING)
    assert np.count_nonzero(tariff) == 1
    assert blocked[XCO, RUS].all()
    assert blocked[RUS, XCO].all()
    assert blocked.sum() == 6


@pytest.mark.parametrize("again", [["USA", "XCO"], "Coalition", ["coalition", "usa"]])
def test_the_same_measure_twice_is_refused_however_it_is_written(tiny: Economy, again):
    twice = Measure(again, "Russia", "cut", 0.9, "imports", ["gds", "GDS"], in_data=0.4, note="once more")
    with pytest.raises(InputError, match=r"measure 2: this measure is in force already.*Remove one"):
        weight(tiny, CUT, twice)


def test_a_measure_may_return_after_it_was_lifted_but_not_with_the_data_years_part(tiny: Economy):
    anew = Measure("coalition", "RUS", "cut", 0.9, "imports", "GDS")
    change = weight(tiny, CUT, Lifting("coalition"), anew)
    assert change[USA, RUS, 1] == pytest.approx(0.1 / 0.6, rel=ROUNDING)
    with pytest.raises(InputError, match=r"given back by the lifting.*Leave out `in_data`"):
        weight(tiny, CUT, Lifting("coalition"), CUT)


def test_a_lifting_that_ends_nothing_is_refused(tiny: Economy):
    with pytest.raises(InputError, match="measure 2: this lifting ends nothing"):
        weight(tiny, CUT, Lifting("XRW"))
    with pytest.raises(InputError, match="ends nothing"):
        weight(tiny, Lifting("USA"), CUT)
    with pytest.raises(InputError, match="Did you mean `cut`"):
        weight(tiny, CUT, Lifting("USA", id="cutt"))


def test_the_order_of_countries_in_the_table_makes_no_difference():
    world = World.load("tiny")
    names = ["country", "exporter", "importer"]
    turned = World(world.data.isel({name: [3, 1, 0, 2] for name in names}))
    a, b = (calibrate(one, "uniform-4") for one in (world, turned))
    steps = CUT, Lifting("USA", "RUS")
    place = [a.countries.index(code) for code in b.countries]
    assert place == [3, 1, 0, 2]
    np.testing.assert_array_equal(weight(b, *steps), weight(a, *steps)[np.ix_(place, place)])


# Groups and shipped scenarios -------------------------------------------------------------------------------


def test_every_group_resolves_on_the_embedded_world(economy: Economy):
    for name, members in labels.country_groups().items():
        found = labels.resolve_countries(name, economy.countries)
        assert found == [code for code in members if code in economy.countries]
        assert found
    parts = {part for codes in labels.sector_parts().values() for part in codes}
    for name, members in labels.sector_groups().items():
        if set(members) <= parts:
            with pytest.raises(InputError, match="Use the world `energy`"):
                labels.resolve_sectors(name, economy.sectors)
        else:
            assert labels.resolve_sectors(name, economy.sectors)
    assert len(labels.resolve_countries("EU27", economy.countries)) == 27


def test_what_the_issue_asks_for_ships():
    wanted = "status-quo-2025 us-relief us-executive-relief us-relief-reversed all-lift embargo"
    oil = "oil-embargo price-cap-60 price-cap-dynamic gas-stop status-quo-2025-oil us-relief-oil-only nord-stream-shut"
    gas = "gas-return-buyer gas-return-seller gas-return-owner"
    more = {"status-quo-2025-aggregate", "us-relief-at-risk", "embargo-evaded", *oil.split(), *gas.split()}
    assert {*wanted.split(), *more} == set(available())


@pytest.mark.parametrize("name", available())
def test_a_shipped_scenario_prints_and_is_complete(name: str):
    scenario = Scenario.load(name)
    assert scenario.name == name
    lines = str(scenario).splitlines()
    assert lines[0] == f"{name}: {scenario.title}"
    assert len(lines) == 1 + len(scenario.sentences())
    assert scenario.steps()
    assert all(line.startswith("  · ") and line.endswith(".") for line in lines[1:])
    cuts = [step for step in scenario.steps() if isinstance(step, Measure) and step.instrument == "cut"]
    assert all(cut.source and cut.range and cut.basis for cut in cuts)


# those of oil and gas need a world of their own: tests/test_oil_and_gas.py
UNSPLIT = [name for name in available() if not Scenario.load(name).world]


@pytest.mark.parametrize("name", UNSPLIT)
@pytest.mark.parametrize("which", ["economy", "tiny"])
def test_a_shipped_scenario_has_an_equilibrium(name: str, which: str, request: pytest.FixtureRequest):
    outcome = simulate(request.getfixturevalue(which), name)
    assert outcome.converged
    assert outcome.residual <= 1e-10  # the default tolerance
    assert np.isfinite(outcome.real_income).all()
    signs = {"us-relief": 1, "us-executive-relief": 1, "all-lift": 1, "us-relief-reversed": 0}
    signs["us-relief-at-risk"] = 1
    russia = float(outcome.real_income.sel(country="RUS"))
    assert np.sign(russia if abs(russia) > 1e-9 else 0) == signs.get(name, -1)


def test_the_status_quo_undone_by_all_is_the_data_year_without_its_sanctions(economy: Economy):
    base = Scenario.load("status-quo-2025-aggregate")
    scenario = Scenario("undone", measures=[Lifting("coalition", "RUS")], base=base)
    change = np.asarray(scenario.shock(economy).weight_change)
    russia = economy.countries.index("RUS")
    germany, china = economy.countries.index("DEU"), economy.countries.index("CHN")
    oil, finance = economy.sectors.index("B06"), economy.sectors.index("K")
    assert change[germany, russia, oil] == pytest.approx(1 / (1 - 0.41), rel=ROUNDING)
    assert change[russia, germany, oil] == pytest.approx(1 / (1 - 0.57), rel=ROUNDING)
    assert change[germany, russia, finance] == 1
    assert change[china, russia, oil] == 1


# The regime ------------------------------------------------------------------------------------------------


STATUS_QUO = Scenario("s", as_of="2025-02-17")


def law(economy: Economy, *steps, cuts: str = "central") -> np.ndarray:
    """The same as `weight`, on the regime of February 2025."""
    change = Scenario("test", measures=steps, base=STATUS_QUO, cuts=cuts).shock(economy).weight_change
    assert change is not None
    return np.asarray(change)


def test_a_scenario_at_an_end_of_its_ranges_says_so_and_uses_it(economy: Economy):
    ranged = Measure("USA", "RUS", "cut", 0.5, "imports", "oil", range=(0.2, 0.6))
    plain = Measure("CHN", "RUS", "cut", 0.5, "imports", "oil")
    scenario = Scenario("s", measures=[ranged, plain])
    usa, china, russia = (economy.countries.index(code) for code in ("USA", "CHN", "RUS"))
    oil = economy.sectors.index("B06")
    for cuts, left in (("low", 0.8), ("central", 0.5), ("high", 0.4)):
        placed = replace(scenario, cuts=cuts)
        weight = placed.shock(economy).weight_change
        assert weight is not None
        assert weight[usa, russia, oil] == pytest.approx(left, rel=ROUNDING)
        assert weight[china, russia, oil] == pytest.approx(0.5, rel=ROUNDING)
        told = f"taken at its {cuts} end" in placed.sentences()[0]
        assert told == (cuts != "central")
    with pytest.raises(InputError, match="Did you mean `low`"):
        replace(scenario, cuts="lwo")
    weights = [law(economy, cuts=cuts) for cuts in ("low", "central", "high")]
    assert (weights[0] >= weights[1]).mean() > 0.99  # an early part in the data can turn a flow the other way
    assert weights[0].sum() > weights[1].sum() > weights[2].sum()


def test_a_keeping_stands_above_liftings_wherever_it_stands(economy: Economy):
    keep, lift = Keeping("USA", sectors="oil"), Lifting("USA", "RUS")
    kept = law(economy, keep, lift)
    np.testing.assert_array_equal(kept, law(economy, lift, keep))
    russia, america = economy.countries.index("RUS"), economy.countries.index("USA")
    oil, chips = economy.sectors.index("B06"), economy.sectors.index("C26")
    now, free = law(economy), law(economy, lift)
    assert kept[america, russia, oil] == now[america, russia, oil] < free[america, russia, oil]
    assert kept[russia, america, chips] == free[russia, america, chips] > now[russia, america, chips]


def test_suspended_is_lifted_and_a_snapback_brings_it_back(economy: Economy):
    suspension = Suspension("EU27", sectors="energy", until="2026-07-31")
    np.testing.assert_array_equal(law(economy, suspension), law(economy, Lifting("EU27", sectors="energy")))
    np.testing.assert_array_equal(law(economy, suspension, Snapback("EU27")), law(economy))
    assert str(suspension).endswith("suspends all its measures on trade in energy until 31 July 2026.")


def test_own_measures_can_be_suspended_kept_and_brought_back_too(tiny: Economy):
    np.testing.assert_array_equal(weight(tiny, CUT, Lifting("all"), Snapback("all")), weight(tiny, CUT))
    partly = weight(tiny, CUT, Lifting("all"), Keeping("USA"))
    np.testing.assert_array_equal(partly, weight(tiny, CUT, Lifting("XCO")))


def test_a_member_of_a_bloc_cannot_lift_alone(economy: Economy):
    with pytest.raises(InputError, match=r"Germany cannot end .* alone .*all members.*Write `by: EU27`"):
        law(economy, Lifting("DEU"))
    with pytest.raises(InputError, match="Germany cannot"):
        law(economy, Lifting(["USA", "DEU"], "RUS"))
    with pytest.raises(InputError, match="measure 1: Germany cannot"):
        law(economy, Keeping("DEU"), Lifting("EU27"))
    np.testing.assert_array_equal(
        law(economy, Lifting("EU27")), law(economy, Lifting(labels.country_groups()["EU27"]))
    )


def test_a_package_and_an_id_name_their_measures_alone(economy: Economy):
    sixth = law(economy, Lifting("EU27", package=6)) != law(economy)
    oil = law(economy, Lifting("EU27", id="eu-2022-879-oil")) != law(economy)
    assert oil.any()
    assert (oil <= sixth).all()
    assert sixth.sum() > oil.sum()
    with pytest.raises(InputError, match="Did you mean `eu-2022-879-oil`"):
        law(economy, Lifting("EU27", id="eu-2022-897-oil"))


def test_every_lift_rule_is_an_authority_of_a_sentence():
    assert list(AUTHORITIES) == list(LIFT_RULES)
    lifting = Lifting("USA", "RUS", authority="executive-alone", package=2)
    assert str(lifting) == (
        "The United States lifts all its measures of package 2 on Russia that the executive alone can end."
    )


def test_a_regime_prints_one_sentence_a_sender():
    lines = STATUS_QUO.sentences()
    assert 5 < len(lines) < 15
    assert lines[0].startswith("The EU27 keeps ")
    assert (
        " measures on Russia in force on 17 February 2025, the largest cuts: imports of coal by 98 %;"
        in lines[0]
    )


def test_a_second_regime_is_refused():
    with pytest.raises(InputError, match="The base `s` has a regime already, that of 17 February 2025"):
        Scenario("t", base=STATUS_QUO, as_of="2024-01-01")


def test_what_a_signature_ends_is_less_than_all(economy: Economy):
    gains = {
        name: float(simulate(economy, name).real_income.sel(country="RUS"))
        for name in ("us-executive-relief", "us-relief")
    }
    assert 0.1 < gains["us-executive-relief"] < gains["us-relief"] < 1.5


# Files ------------------------------------------------------------------------------------------------------


def test_a_file_reads_as_the_same_scenario_in_python(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: A test\nagainst: status-quo-2025\nmeasures:\n"
        "  - by: USA\n    on: [RUS, NO, on]\n    instrument: cut\n    size: 0.5\n    range: [0.4, 0.6]\n"
        "  - lift: {by: USA, on: NO}\n",
        encoding="utf-8",
    )
    measures = (Measure("USA", ["RUS", "NO", "on"], "cut", 0.5, range=(0.4, 0.6)), Lifting("USA", "NO"))
    assert Scenario.load(path) == Scenario("mine", "A test", measures, against="status-quo-2025")


def test_a_mapping_is_a_scenario_too():
    content = {"name": "m", "title": "Mapped", "measures": [{"by": "USA", "on": "RUS", "instrument": "ban"}]}
    assert Scenario.load(content).measures == (Measure("USA", "RUS", "ban"),)
    assert Scenario.load(Scenario.load(content)) == Scenario.load(content)


def test_a_base_beside_the_file_is_found_and_its_measures_come_first(tmp_path):
    measure = "  - {by: USA, on: RUS, instrument: ban}\n"
    (tmp_path / "below.yaml").write_text(f"name: b\ntitle: Below\nfocus: RUS\nmeasures:\n{measure}", "utf-8")
    (tmp_path / "above.yaml").write_text(
        "name: a\ntitle: Above\nbase: below.yaml\nagainst: below.yaml\nmeasures:\n  - lift: {by: USA}\n",
        "utf-8",
    )
    above = Scenario.load(tmp_path / "above.yaml")
    assert above.sentences() == [
        "The United States bans all trade with Russia.",
        "The United States lifts all its measures.",
    ]
    assert above.focus == "RUS"
    assert Scenario.load(above.against).name == "b"


def test_the_focus_is_the_one_target_unless_said_otherwise():
    bans = [Measure("USA", "rus", "ban", sectors="B06"), Measure("EU27", "RUS", "ban", sectors="B06")]
    only = Scenario("s", measures=bans)
    assert only.focus == "RUS"
    assert Scenario("s", measures=bans, focus="DEU").focus == "DEU"
    assert Scenario("s", measures=[Lifting("USA")], base=only).focus == "RUS"
    assert Scenario("s", measures=[*bans, Measure("USA", "CHN", "ban")]).focus == ""
    assert Scenario("s", measures=[Measure("RUS", "all", "ban")]).focus == ""


def test_the_baseline_is_a_scenario_that_does_nothing(tiny: Economy):
    baseline = Scenario.load(BASELINE)
    assert baseline.sentences() == ["Nothing is changed: the data year as it is."]
    shock = baseline.shock(tiny)
    assert shock.weight_change is shock.blocked is shock.trade_cost_change is None


def test_every_validator_of_the_schema_is_explained_in_plain_words():
    text = (labels.DATA / "scenario.schema.json").read_text(encoding="utf-8")
    for hard in ("oneOf", "anyOf", "allOf", "const", "format", "minimum", "maximum", "dependent"):
        assert f'"{hard}' not in text


def test_every_shipped_file_is_named_after_its_scenario():
    names = [f"{name}.yaml" for name in available()]
    assert {path.name for path in SHIPPED.iterdir()} == set(names)
    assert [Scenario.load(path).name for path in map(SHIPPED.joinpath, names)] == available()
