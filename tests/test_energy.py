"""The world with crude oil, pipeline gas and LNG apart: accounts, figures, and what they refuse."""

from pathlib import Path

import numpy as np
import pytest

import detente as dt
from detente import energy, labels
from detente.errors import ConvergenceError, InputError
from detente.regime import Regime
from detente.sources import energy_figures
from detente.sources.energy_figures import FUELS, LNG, OIL, PIPE, WHOLE
from detente.world import World
from tests import wiod
from tools import check_energy

EXACT = 1e-12  # splitting and summing again is a matter of rounding
CLOSED = 1e-10  # supply and use of a fuel meet to the solver's tolerance, 1e-13 of a country's total


@pytest.fixture(scope="module")
def whole() -> World:
    return World.load()


@pytest.fixture(scope="module")
def apart() -> World:
    return World.load("energy")


@pytest.fixture(scope="module")
def figures() -> energy_figures.Figures:
    return energy_figures.read()


@pytest.fixture(scope="module")
def flows(apart: World) -> np.ndarray:
    """[exporter, importer, fuel], USD million."""
    trade = apart.data["intermediate_trade"] + apart.data["final_trade"]
    return trade.sel(sector=list(FUELS)).transpose("exporter", "importer", "sector").values


# Accounts ---------------------------------------------------------------------------------------------------


def test_the_three_stand_where_the_one_stood(whole: World, apart: World):
    at = whole.sectors.index(WHOLE)
    assert apart.sectors == [*whole.sectors[:at], *FUELS, *whole.sectors[at + 1 :]]
    assert apart.countries == whole.countries


def test_the_identities_hold(apart: World):
    assert apart.check(CLOSED) == []
    for name in apart.data:
        assert float(apart.data[name].min()) >= 0, name


def test_summed_again_it_is_the_embedded_world(whole: World, apart: World):
    back = apart.aggregate(sectors={WHOLE: list(FUELS)})
    for name, table in whole.data.items():
        found = back.data[name].reindex_like(table)
        np.testing.assert_allclose(found, table, rtol=EXACT, atol=1e-9, err_msg=str(name))


def test_an_empty_sector_stays_empty(whole: World, apart: World):
    empty = whole.data["output"].sel(sector=WHOLE).values == 0
    assert empty.any()
    assert not apart.data["output"].sel(sector=list(FUELS)).values[empty].any()


def test_liquefaction_buys_gas_as_far_as_extraction_uses_it(whole: World, apart: World, figures):
    burnt = apart.data["input_use"].sel(input=PIPE, sector=LNG)
    output = apart.data["output"].sel(sector=LNG)
    most = figures.get("liquefaction-use", fuel=PIPE) * output
    gas = apart.data["input_use"].sel(input=PIPE, sector=list(FUELS)).sum("sector")
    np.testing.assert_allclose(burnt, np.minimum(most, energy.OWN_GAS * gas), rtol=1e-9, atol=1e-9)
    assert float(burnt.sel(country="USA")) == pytest.approx(float(most.sel(country="USA")))


def test_other_inputs_have_the_proportions_of_the_whole(whole: World, apart: World):
    old = whole.data["input_use"].sel(sector=WHOLE, country="RUS").drop_sel(input=WHOLE)
    share = old / float(whole.data["output"].sel(sector=WHOLE, country="RUS"))
    for fuel in FUELS:
        new = apart.data["input_use"].sel(sector=fuel, country="RUS", input=old["input"].values)
        output = float(apart.data["output"].sel(sector=fuel, country="RUS"))
        np.testing.assert_allclose(new / output, share, rtol=EXACT)


def test_refineries_take_crude_and_power_stations_gas(apart: World):
    use = apart.data["input_use"].sel(input=list(FUELS)).sum("country")
    crude = use.sel(input=OIL) / use.sum("input")
    assert float(crude.sel(sector="C19")) > 0.9
    assert float(crude.sel(sector="D")) < 0.15


# What is possible -------------------------------------------------------------------------------------------


def test_gas_goes_only_where_it_can(apart: World, flows: np.ndarray, figures):
    for i, origin in enumerate(apart.countries):
        for n, destination in enumerate(apart.countries):
            for f, fuel in enumerate(FUELS):
                if not figures.possible(origin, destination, fuel):
                    assert flows[i, n, f] == 0, (origin, destination, fuel)


def test_some_gas_that_everybody_knows(apart: World, flows: np.ndarray):
    place = apart.countries.index
    assert flows[place("RUS"), place("CZE"), 1] > flows[place("RUS"), place("CZE"), 0]
    assert flows[place("RUS"), place("JPN"), 2] > flows[place("RUS"), place("JPN"), 0]
    assert flows[place("AUS"), place("JPN"), 2] > 0.9 * flows[place("AUS"), place("JPN")].sum()
    assert not flows[place("SAU"), place("CHN"), 1:].any()


def test_the_make_up_of_a_pair_with_figures_is_bent_but_little(apart: World, flows: np.ndarray, figures):
    given = energy.supply_share(apart.countries, figures)
    i = apart.countries.index("RUS")
    total = flows[i].sum(axis=1)
    listed = [apart.countries.index(row.destination) for row in figures.of("flow") if row.origin == "RUS"]
    abroad = sorted(set(listed))
    off = np.abs(flows[i, abroad] / total[abroad, None] - given[i, abroad]).sum(axis=1) / 2
    assert (off * total[abroad]).sum() / total[abroad].sum() < 0.1


# The figures ------------------------------------------------------------------------------------------------


def test_pairs_add_up_to_no_more_than_exports(figures):
    for row in figures.of("exports"):
        pairs = [flow for flow in figures.of("flow") if (flow.origin, flow.fuel) == (row.origin, row.fuel)]
        assert sum(flow.value for flow in pairs) <= row.high, (row.origin, row.fuel)


def test_exports_do_not_exceed_production(figures):
    for row in figures.of("exports"):
        if row.fuel == LNG:
            made, needed = figures.rows["production", row.origin, "", PIPE], figures.cubic_metres(row.low)
            piped = figures.rows.get(("exports", row.origin, "", PIPE))
            needed += piped.low if piped else 0.0
        else:
            made, needed = figures.rows["production", row.origin, "", row.fuel], row.low
        assert needed <= made.high, (row.origin, row.fuel)


def test_every_figure_says_how_far_it_has_been_checked(figures):
    kinds = {row.verification for row in figures.rows.values()}
    assert kinds == {"sourced", "unverified"}
    assert {row.verification for row in figures.rows.values() if row.source == "own"} == {"unverified"}


def test_a_quantity_becomes_money(figures):
    # 86.25 million tonnes of crude to China were 58.4 billion USD at customs
    assert figures.value("RUS", "CHN", OIL, 86.25) == pytest.approx(58_400, rel=0.02)
    assert figures.value("RUS", "CHN", LNG, 6.485) == pytest.approx(6_732, rel=0.02)


HEAD = ",".join(energy_figures.COLUMNS)
GOOD = "flow,RUS,CHN,B06O,86.25,Mt,84,88,sourced,cn"


def written(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "figures.csv"
    path.write_text("\n".join(["# a comment", head, *rows]) + "\n", encoding="utf-8")
    path.with_suffix(".yaml").write_text("cn: {citation: customs}\n", encoding="utf-8")
    return path


def test_a_row_is_read(tmp_path: Path):
    row = energy_figures.read(written(tmp_path, GOOD)).rows["flow", "RUS", "CHN", OIL]
    assert (row.value, row.low, row.high, row.line) == (86.25, 84, 88, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD.replace("flow", "flwo"), r"line 3: There is no record `flwo`. Did you mean `flow`"),
        (GOOD.replace("CHN", "CHX"), r"line 3: There is no country `CHX`"),
        (GOOD.replace("B06O", "B06"), r"line 3: There is no fuel `B06`"),
        (GOOD.replace("Mt", "bcm"), r"line 3: the unit is `bcm`; expected `Mt`"),
        (GOOD.replace("86.25", "many"), r"line 3: `many`, `84`, `88` are not all numbers"),
        (GOOD.replace("86.25", "nan"), r"line 3: expected 0 ≤ low ≤ value ≤ high"),
        (GOOD.replace("86.25", "90"), r"found 84, 90, 88"),
        (GOOD.replace("84,", "-84,"), r"found -84, 86.25, 88"),
        (GOOD.replace("sourced", "sure"), r"There is no verification `sure`"),
        (GOOD.replace("cn", "us"), r"There is no source `us`"),
        (GOOD.replace("CHN", ""), r"a `flow` row has a `to`"),
        ("exports,RUS,CHN,B06O,1,Mt,1,1,sourced,cn", r"a `exports` row has no `to`; found `CHN`"),
        ("use,,C99,B06O,1,share,1,1,sourced,cn", r"There is no user `C99`"),
        ("use,,C19,B06O,1,share,1,1.5,sourced,cn", r"a share lies between 0 and 1; found up to 1.5"),
        (GOOD + ",more", r"line 3: 11 cells; expected 10"),
        ("flow,RUS,CHN,B06L,1,Mt,1,1,sourced,cn", r"B06L from RUS to CHN lacks `liquefaction`"),
        ("flow,RUS,CHN,B06P,1,bcm,1,1,sourced,cn", r"B06P from RUS to CHN lacks a `pipeline` row"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, row: str, message: str):
    with pytest.raises(InputError, match=message):
        energy_figures.read(written(tmp_path, row))


def test_a_bad_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="the same figure stands on line 3 already"):
        energy_figures.read(written(tmp_path, GOOD, GOOD))
    with pytest.raises(InputError, match="needs the columns record,from"):
        energy_figures.read(written(tmp_path, GOOD, head="a,b"))
    with pytest.raises(InputError, match="cannot be read"):
        energy_figures.read(tmp_path / "none.csv")
    empty = energy_figures.read(written(tmp_path))
    with pytest.raises(InputError, match="No price of B06O"):
        empty.price("RUS", "CHN", OIL)
    with pytest.raises(InputError, match="No `conversion` row for B06P; expected one in MMBtu"):
        empty.value("RUS", "CHN", PIPE, 1)


# Supply meets use -------------------------------------------------------------------------------------------


def test_meeting_needs_no_bending_where_both_sides_agree():
    trade, share = np.array([[3.0], [1.0]]), np.array([[[1.0, 0, 0]], [[0, 1.0, 0]]])
    use, taste = np.array([[3.0, 1.0]]), np.array([[1.0, 0, 0], [0, 1.0, 1.0]])
    supplied, used = energy.meet(trade, share, np.ones((2, 1)), use, taste)
    np.testing.assert_allclose(supplied[:, 0], [[3, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(used[0], [[3, 0, 0], [0, 1, 0]], atol=1e-12)


def test_meeting_bends_the_softer_side_more():
    trade, share = np.array([[2.0]]), np.array([[[0.5, 0.5, 0]]])
    use, taste = np.array([[2.0]]), np.array([[0.9, 0.1, 0.1]])
    even, _ = energy.meet(trade, share, np.ones((1, 1)), use, taste)
    firm, used = energy.meet(trade, share, np.full((1, 1), energy.FIRM), use, taste)
    assert even[0, 0, 0] / 2 == pytest.approx(0.75)  # odds 1 and 9 meet at 3
    assert firm[0, 0, 0] / 2 == pytest.approx(9**0.2 / (1 + 9**0.2))  # odds 1·r^(1/4) and 9/r meet at 9^(1/5)
    np.testing.assert_allclose(firm[0, 0], used[0, 0], atol=1e-12)


def test_what_cannot_meet_is_said():
    trade, share = np.array([[2.0]]), np.array([[[1.0, 0, 0]]])
    with pytest.raises(ConvergenceError, match="Crude oil and gas could not be split"):
        energy.meet(trade, share, np.ones((1, 1)), np.array([[2.0]]), np.array([[0.0, 1.0, 1.0]]))


# A witness --------------------------------------------------------------------------------------------------


def test_customs_of_russias_buyers_see_about_the_same():
    """Monthly customs data of the buyers, from which no figure was taken. Part of the year, transit at odds."""
    folder = wiod.shared_data()
    if not (folder / check_energy.FILE).is_file():
        pytest.skip(f"{check_energy.FILE} is not in {folder}")
    found = check_energy.compare(folder)
    assert len(found) > 20
    assert check_energy.distance(found, "customs") == 0
    assert check_energy.distance(found, "figures") < 0.2
    assert check_energy.distance(found, "table") < 0.2


# Law --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regime() -> Regime:
    return Regime.load()


def left(regime: Regime, world: World, importer: str, day: str, **how) -> dict[str, float]:
    """What the law of a day leaves of a country's imports from Russia against the table's year, by sector."""
    weight = regime.weight(world.countries, world.sectors, on=day, **how)
    pair = world.countries.index(importer), world.countries.index("RUS")
    return dict(zip(world.sectors, weight[*pair].tolist(), strict=True))


def test_each_fuel_has_its_own_law(regime: Regime, whole: World, apart: World):
    one, three = (left(regime, world, "DEU", "2025-02-17") for world in (whole, apart))
    assert three[OIL] < one[WHOLE] < three[LNG]
    assert three[OIL] < 0.15
    assert three[LNG] > 0.9
    assert {code: three[code] for code in one if code != WHOLE} == pytest.approx(
        {code: one[code] for code in one if code != WHOLE}, rel=EXACT
    )
    later = left(regime, apart, "DEU", "2027-12-31")
    assert later[LNG] < 0.1 * three[LNG]
    assert later[PIPE] < 0.2 * three[PIPE]
    assert later[OIL] == pytest.approx(three[OIL], rel=0.2)


def test_an_act_on_all_fuels_is_the_same_for_each(regime: Regime, whole: World, apart: World):
    one, three = (left(regime, world, "USA", "2025-02-17") for world in (whole, apart))
    assert [three[fuel] for fuel in FUELS] == pytest.approx([one[WHOLE]] * 3, rel=EXACT)


def test_lifting_the_embargo_on_crude_frees_crude_alone(regime: Regime, apart: World):
    kept = left(regime, apart, "DEU", "2025-02-17")
    freed = left(regime, apart, "DEU", "2025-02-17", without=["eu-2022-879-oil"])
    assert freed[OIL] / kept[OIL] == pytest.approx(10, rel=1e-9)  # a cut of 0.9 left a tenth
    assert (freed[PIPE], freed[LNG]) == (kept[PIPE], kept[LNG])


def test_a_measure_is_not_in_force_on_what_it_leaves_alone(regime: Regime, apart: World):
    position = regime.at("2025-02-17", apart.countries, apart.sectors)
    assert position.holds(dt.Lifting("EU27", "RUS", sectors="crude", id="eu-2022-879-oil"))
    assert not position.holds(dt.Lifting("EU27", "RUS", sectors="gas", id="eu-2022-879-oil"))


def test_the_status_quo_solves_on_the_parts(apart: World):
    outcome = dt.simulate(dt.calibrate(apart), "status-quo-2025")
    assert float(outcome.data["real_income"].sel(country="RUS")) < 0


def test_means_over_parts_are_told_beside_the_whole():
    rows = {row.id: row for row in check_energy.by_part()}
    assert rows["us-2022-117-109"].mean == pytest.approx(0.99)
    assert rows["eu-2026-261-gas-long"].inside
    assert rows["ru-2022-172-gas"].inside
    assert not rows["eu-2022-879-oil"].inside  # of the flows of 2022, in which gas was dear
    page = " ".join((Path(__file__).parents[1] / "docs" / "energy.md").read_text("utf-8").split())
    lng = rows["eu-2025-2033-lng-short"].mean, rows["eu-2025-2033-lng-long"].mean
    assert f"but {rows['eu-2022-879-oil'].mean:.2f} over the flows of 2022" in page
    assert f"bans on LNG ({lng[0]:.2f} and {lng[1]:.2f} for 0.57 and 0.65)" in page
    assert {id[:2] for id, row in rows.items() if not row.inside} == {"eu", "gb", "ca", "ch"}


# Names ------------------------------------------------------------------------------------------------------


def test_the_whole_means_its_parts_and_a_part_is_never_taken_for_the_whole(whole: World, apart: World):
    assert labels.resolve_sectors("b06", apart.sectors) == list(FUELS)
    assert labels.resolve_sectors("oil-gas", apart.sectors) == list(FUELS)
    assert labels.resolve_sectors("oil", apart.sectors) == [OIL, "C19"]
    assert labels.resolve_sectors("gas", apart.sectors) == [PIPE, LNG]
    assert labels.resolve_sectors("oil", whole.sectors) == [WHOLE, "C19"]
    with pytest.raises(InputError, match=r"as one sector, `B06`.*Use the world `energy`"):
        labels.resolve_sectors("B06O", whole.sectors)


def test_a_scenario_for_the_whole_runs_on_the_parts(whole: World, apart: World):
    measure = dt.Measure("EU27", "RUS", "ban", direction="imports", sectors="B06")
    scenario = dt.Scenario("test", measures=[measure])
    change = [
        float(dt.simulate(dt.calibrate(world), scenario).data["real_income"].sel(country="RUS"))
        for world in (whole, apart)
    ]
    assert change[1] < 0
    assert change[1] == pytest.approx(change[0], rel=0.5)


def test_elasticities_of_the_whole_hold_for_its_parts(apart: World, tmp_path: Path):
    economy = dt.calibrate(apart)
    theta = dict(zip(apart.sectors, np.asarray(economy.trade_elasticity).tolist(), strict=True))
    assert {theta[fuel] for fuel in FUELS} == {13.53}
    listed = {code: 4.0 for code in apart.sectors if code not in FUELS} | {WHOLE: 7.0, LNG: 9.0}
    mixed = dt.calibrate(apart, listed)
    theta = dict(zip(apart.sectors, np.asarray(mixed.trade_elasticity).tolist(), strict=True))
    assert [theta[fuel] for fuel in FUELS] == [7.0, 7.0, 9.0]
