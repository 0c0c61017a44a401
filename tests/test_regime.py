"""The regime: overlaps by hand, the data year divided out, and lifting that always leads back to the start."""

import datetime
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detente import labels
from detente.calibration import calibrate
from detente.catalogue import load_catalogue
from detente.economy import Economy
from detente.errors import InputError
from detente.measure import Lifting
from detente.outcome import simulate
from detente.regime import Position, Regime
from detente.scenario import Scenario
from detente.world import World

RUS, USA, DEU = "RUS", "USA", "DEU"
CODES = [RUS, USA, DEU, "FRA", "CHN"]
GOODS = ["B06", "C26", "K", "M"]
DAY = "2025-02-17"
ENTRY = """\
  - id: {id}
    title: A measure
    targets: [{on}]
    instrument: executive-order
    number: Order 1
    verification: unverified
    history: [{{ date: {day}, event: imposed, verification: sourced }}{more}]
    scope: {{ direction: imports, sectors: [B06], products: oil }}
    legal_basis: an act
    lift_rule: {{ rule: {rule}, who: the head of state, days: [0, 10], verification: sourced }}
    sources: [{{ citation: a journal, verification: sourced }}]
    reading: [{{ {reading}, basis: estimate }}]
"""


def regime(folder, *entries: dict, sender: str = USA) -> Regime:
    """A regime of hand-made measures of one sender, or of several where an entry names one."""
    files: dict[str, str] = {}
    for k, entry in enumerate(entries):
        defaults = {
            "id": f"us-2020-{k}",
            "on": RUS,
            "day": "2020-01-01",
            "rule": "executive-alone",
            "more": "",
        }
        by = entry.get("by", sender)
        files[by] = files.get(by, f"sender: {by}\nas_of: 2026-01-01\nmeasures:\n")
        files[by] += ENTRY.format(**{**defaults, **entry})
    for by, text in files.items():
        (folder / f"{by.lower()}.yaml").write_text(text, encoding="utf-8")
    return Regime.load(folder)


def cut(size: float, direction: str = "imports", sectors: str = "B06", more: str = "") -> str:
    return f"direction: {direction}, sectors: [{sectors}], instrument: cut, size: {size}{more}"


def oil(one: Regime, importer: str, on: str = DAY, **options) -> float:
    """The weight of an importer's purchases of oil from Russia."""
    weight = one.weight(CODES, GOODS, on=on, **options)
    return weight[CODES.index(importer), CODES.index(RUS), 0]


@pytest.fixture(scope="module")
def shipped() -> Regime:
    return Regime.load()


# Overlaps, by hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_within_a_family_the_largest_binds(tmp_path, order: int):
    late = [{"day": "2023-05-01", "reading": cut(size)} for size in (0.5, 0.8, 0.3)][::order]
    one = regime(tmp_path, *late)
    assert oil(one, USA) == pytest.approx(0.2, rel=1e-15)
    assert oil(one, USA, without=["us-2020-1"]) == pytest.approx(0.5, rel=1e-15)
    assert oil(one, USA, without=["us-2020-0", "us-2020-2"]) == pytest.approx(0.2, rel=1e-15)
    assert oil(one, USA, only=["us-2020-1"]) == pytest.approx(0.2, rel=1e-15)
    assert oil(one, DEU) == 1


def test_across_channels_and_borders_cuts_compound(tmp_path):
    late = {"day": "2023-05-01"}
    one = regime(
        tmp_path,
        {**late, "reading": cut(0.5)},
        {**late, "reading": cut(0.1, more=", channel: finance")},
        {**late, "by": RUS, "on": USA, "id": "ru-2020-r", "reading": cut(0.4, "exports")},
    )
    assert oil(one, USA) == pytest.approx(0.5 * 0.9 * 0.6, rel=1e-15)
    assert oil(one, USA, without=["ru-2020-r"]) == pytest.approx(0.5 * 0.9, rel=1e-15)


def test_the_data_year_is_divided_out_by_the_days_a_measure_was_in_force(tmp_path):
    one = regime(tmp_path, {"day": "2022-07-02", "reading": cut(0.5)})  # 183 of 365 days
    mean = (182 + 183 * 0.5) / 365
    assert oil(one, USA) == pytest.approx(0.5 / mean, rel=1e-14)
    assert oil(one, USA, without=["us-2020-0"]) == pytest.approx(1 / mean, rel=1e-14)
    assert oil(one, USA, on="2021-01-01") == pytest.approx(1 / mean, rel=1e-14)
    assert one.baseline_free(CODES, GOODS)[1, 0, 0] == pytest.approx(mean, rel=1e-14)
    assert oil(one, USA, data_year=2021) == 0.5
    assert oil(one, USA, data_year=2023) == 1


def test_sizes_move_to_an_end_of_their_range_on_both_sides_of_the_ratio(tmp_path):
    one = regime(
        tmp_path,
        {"day": "2022-07-02", "reading": cut(0.5, more=", range: [0.4, 0.6]")},
        {"day": "2024-01-01", "reading": cut(0.7, more=", range: [0.55, 0.8]")},
    )
    for cuts, early, late in (("low", 0.4, 0.55), ("central", 0.5, 0.7), ("high", 0.6, 0.8)):
        weight = one.at("2025-01-01", CODES, GOODS, sizes=cuts).change().weight
        mean = (182 + 183 * (1 - early)) / 365
        assert weight[CODES.index(USA), CODES.index(RUS), 0] == pytest.approx((1 - late) / mean, rel=1e-14)
    with pytest.raises(InputError, match="Did you mean `high`"):
        one.at("2025-01-01", CODES, GOODS, sizes="hihg")


def test_applicability_and_a_suspension_count_by_the_day(tmp_path):
    pause = ", { date: 2022-10-01, event: suspended, until: 2022-10-31, verification: sourced }"
    one = regime(tmp_path, {"reading": cut(0.5), "day": "2020-01-01", "more": pause})
    assert oil(one, USA) == pytest.approx(0.5 / ((365 - 31) / 365 * 0.5 + 31 / 365), rel=1e-14)


def test_what_a_reading_says_of_the_data_year_is_believed(tmp_path):
    one = regime(tmp_path, {"reading": cut(0.9, more=", in_data: 0.4"), "day": "2023-01-01"})
    assert oil(one, USA) == pytest.approx(0.1 / 0.6, rel=1e-14)


def test_a_ban_blocks_and_one_of_the_whole_data_year_cannot_be_undone(tmp_path):
    ban = "direction: imports, sectors: [B06], instrument: ban"
    late = regime(tmp_path, {"reading": ban, "day": "2023-01-01"})
    change = late.at(DAY, CODES, GOODS).change()
    assert change.blocked[1, 0, 0]
    assert change.blocked.sum() == 1
    assert oil(late, USA, without=["us-2020-0"]) == 1
    early = regime(tmp_path, {"reading": ban})
    assert oil(early, USA) == 0
    with pytest.raises(
        InputError, match=r"ban held for the whole data year on .* from Russia to United States"
    ):
        oil(early, USA, without=["us-2020-0"])


def test_a_flow_the_table_does_not_have_needs_no_ratio(tmp_path):
    early = regime(tmp_path, {"reading": "direction: imports, sectors: [B06], instrument: ban"})
    at = early.at(DAY, CODES, GOODS)
    absent = np.zeros((len(CODES), len(CODES), len(GOODS)), bool)
    at.end(Lifting(USA))
    with pytest.raises(InputError, match="ban held for the whole data year"):
        at.change(absent)
    absent[1, 0, 0] = True
    change = at.change(absent)
    assert not change.blocked.any()
    assert (change.weight == 1).all()
    assert change.eased[1, 0, 0] == change.eased.sum() == 1


def test_duties_are_the_largest_and_what_the_data_year_had_is_a_cost(tmp_path):
    duty = "direction: imports, sectors: [B06], instrument: tariff, size: "
    one = regime(tmp_path, {"reading": duty + "0.1"}, {"reading": duty + "0.35", "day": "2023-01-01"})
    at = one.at(DAY, CODES, GOODS)
    change = at.change()
    assert change.duty[1, 0, 0] == pytest.approx(0.35, rel=1e-14)
    assert change.duty_in_data[1, 0, 0] == pytest.approx(0.1, rel=1e-14)
    assert at.end(Lifting(USA))
    assert not at.change().duty.any()


@pytest.mark.parametrize(("size", "levied"), [(0.95, False), (0.9, False), (0.89, True)])
def test_nobody_pays_a_duty_on_what_the_same_sender_shuts_out(tmp_path, size: float, levied: bool):
    duty = "direction: imports, sectors: [B06], instrument: tariff, size: 0.35"
    ban_day, duty_day = datetime.date(2022, 3, 10), datetime.date(2022, 3, 2)
    one = regime(
        tmp_path,
        {"reading": cut(size), "day": ban_day},
        {"reading": duty, "day": duty_day},
        {"by": RUS, "on": USA, "id": "ru-2020-r", "reading": cut(0.99, "exports")},
    )
    at = one.at(DAY, CODES, GOODS)
    change = at.change()
    days = 8 if not levied else (datetime.date(2023, 1, 1) - duty_day).days
    assert change.duty[1, 0, 0] == pytest.approx(0.35 if levied else 0, abs=1e-15)
    assert change.duty_in_data[1, 0, 0] == pytest.approx(0.35 * days / 365, rel=1e-13)
    assert at.end(Lifting(USA, id="us-2020-0"))
    freed = at.change()
    assert freed.duty[1, 0, 0] == pytest.approx(0.35, rel=1e-14)  # what may come again pays
    assert freed.duty_in_data[1, 0, 0] == change.duty_in_data[1, 0, 0]
    assert at.end(Lifting(USA, id="us-2020-1"))
    assert not at.change().duty.any()


def test_an_export_tax_behind_the_same_senders_ban_does_not_count(tmp_path):
    tax = "direction: exports, sectors: [B06], instrument: export-tax, size: 0.2"
    ban = "direction: exports, sectors: [B06], instrument: ban"
    one = regime(
        tmp_path, {"reading": ban, "day": "2023-01-01"}, {"reading": tax, "day": "2023-01-01"}, sender=USA
    )
    at = one.at(DAY, CODES, GOODS)
    assert not at.change().export_tax.any()
    at.end(Lifting(USA, id="us-2020-0"))
    assert at.change().export_tax[0, 1, 0] == pytest.approx(0.2, rel=1e-14)


def test_the_rate_of_the_data_year_leaves_what_its_days_left(tmp_path):
    one = regime(
        tmp_path,
        {"reading": cut(0.6), "day": "2022-03-11"},  # 296 days
        {
            "reading": "direction: imports, sectors: [B06], instrument: tariff, size: 0.35",
            "day": "2022-07-02",
        },
        {
            "by": RUS,
            "on": USA,
            "id": "ru-2020-r",
            "day": "2022-10-01",
            "reading": "direction: exports, sectors: [B06], instrument: export-tax, size: 0.1",
        },
    )
    theta = np.full(len(GOODS), 12.0)
    change = one.at(DAY, CODES, GOODS).change(elasticity=theta)
    duty, tax = 1.35**-12, 1.1**-12
    free, cut_only, dutied, both = 69, 113 * 0.4, 91 * 0.4, 92 * 0.4
    weight = free + cut_only + dutied + both
    after_duty = free + cut_only + dutied * duty + both * duty
    after_both = free + cut_only + dutied * duty + both * duty * tax
    assert (1 + change.duty_in_data[1, 0, 0]) ** -12 == pytest.approx(after_duty / weight, rel=1e-12)
    assert (1 + change.export_tax_in_data[1, 0, 0]) ** -12 == pytest.approx(
        after_both / after_duty, rel=1e-12
    )
    assert change.duty_in_data.sum() == change.duty_in_data[1, 0, 0]
    steady = one.at(DAY, CODES, GOODS, data_year=2024).change(elasticity=theta)
    assert steady.duty_in_data[1, 0, 0] == pytest.approx(0.35, rel=1e-12)


def test_without_any_measure_a_flow_is_that_of_2022_over_the_mean_of_its_days(shipped: Regime):
    """Day by day, against a year before all measures; cuts and duties together, at elasticities up to 60."""
    goods, theta = ["B06", "C10T12", "C16", "C24B"], np.array([60.0, 3.0, 11.0, 8.0])
    left = np.zeros((len(CODES), len(CODES), len(goods)))
    for k in range(365):
        day = datetime.date(2022, 1, 1) + datetime.timedelta(k)
        at = shipped.at(day, CODES, goods, data_year=2013).change(elasticity=theta)
        assert not at.duty_in_data.any()
        left += np.where(at.blocked, 0, at.weight) * ((1 + at.duty) * (1 + at.export_tax)) ** -theta / 365
    at = shipped.at(DAY, CODES, goods)
    for id in at.ids():
        at.end(Lifting("all", id=id))
    free = at.change(elasticity=theta)
    found = free.weight * ((1 + free.duty_in_data) * (1 + free.export_tax_in_data)) ** theta
    np.testing.assert_allclose(found, 1 / left, rtol=1e-11)
    assert found[1, 0, 0] > 2


def test_the_law_of_an_aggregate_country_is_the_mean_over_its_flows(shipped: Regime):
    tiny, full = World.load("tiny"), World.load()
    small = shipped.weight(tiny.countries, tiny.sectors, on=DAY)
    large = shipped.weight(full.countries, full.sectors, on=DAY)
    trade = full.data["final_trade"] + full.data["intermediate_trade"]
    flows = trade.transpose("importer", "exporter", "sector").to_numpy()
    energy = [full.sectors.index(code) for code in labels.resolve_sectors("energy", full.sectors)]
    n, i = full.countries.index(USA), full.countries.index(RUS)
    mean = (flows * large)[n, i, energy].sum() / flows[n, i, energy].sum()
    assert small[1, 0, 0] == pytest.approx(mean, rel=1e-12)
    assert (small[3] == 1).sum() >= 9  # the rest of the world has hardly any


def test_a_world_of_unknown_codes_is_refused(shipped: Regime):
    with pytest.raises(InputError, match="the sector `OIL`, which the measures of the catalogue do not know"):
        shipped.weight(CODES, ["OIL"], on=DAY)


# Lifting leads back to the start ----------------------------------------------------------------------------


IDS = [measure.id for measure in load_catalogue()]


def test_lifting_everything_leaves_the_data_year_without_its_measures(shipped: Regime):
    free = shipped.weight(CODES, GOODS, on=DAY, without=IDS)
    np.testing.assert_allclose(free, 1 / shipped.baseline_free(CODES, GOODS), rtol=1e-14)
    assert (free >= 1).all()


def test_lifting_never_cuts_and_imposing_never_raises(shipped: Regime):
    now = shipped.weight(CODES, GOODS, on=DAY)
    for id in IDS:
        assert (shipped.weight(CODES, GOODS, on=DAY, without=[id]) >= now).all()


def test_lifting_holds_a_flow_back_only_where_the_same_senders_duty_comes_to_bear(shipped: Regime):
    """Weight and duties together, at an elasticity above all that ship."""
    goods = ["B06", "C16", "C24B"]

    def left(at: Position) -> tuple[np.ndarray, np.ndarray]:
        change = at.change()
        return np.where(change.blocked, 0, change.weight) * (1 + change.duty) ** -17, change.duty

    codes = [RUS, USA, "CAN", "GBR"]
    now, levied = left(shipped.at(DAY, codes, goods))
    held = set()
    for id in shipped.at(DAY, codes, goods).ids():
        at = shipped.at(DAY, codes, goods)
        at.end(Lifting("all", id=id))
        after, duty = left(at)
        lower = after < now * (1 - 1e-12)
        assert (duty[lower] > levied[lower]).all()
        held |= {id} if lower.any() else set()
    assert "ca-2022-52-oil" in held


def test_every_measure_imposed_and_lifted_leads_back(shipped: Regime):
    at = shipped.at("2014-01-01", CODES, GOODS)
    start = at.change()
    for measure in load_catalogue():
        if at.grid.named([measure.id]).any():
            at.impose(measure.id)
            assert at.end(Lifting("all", id=measure.id))
        back = at.change()
        np.testing.assert_allclose(back.weight, start.weight, rtol=1e-12)
        np.testing.assert_allclose(back.duty, start.duty, atol=1e-12)


@given(
    st.lists(st.sampled_from(IDS), unique=True, max_size=40),
    st.randoms(),
    st.sampled_from([DAY, "2022-06-01"]),
)
def test_random_sets_in_any_order_lead_back(ids, random, day):
    at = Regime.load().at(day, CODES, GOODS)
    start = at.change()
    held = {id for id in ids if (at.grid.named([id]) & at.active).any()}
    others = [id for id in ids if id not in held and at.grid.named([id]).any()]
    for id in others:
        at.impose(id)
    for id in held:
        at.end(Lifting("all", id=id))
    undo = [*others, *held]
    random.shuffle(undo)
    for id in undo:
        step = Lifting("all", id=id)
        assert at.restore(step) if id in held else at.end(step)
    back = at.change()
    np.testing.assert_allclose(back.weight, start.weight, rtol=1e-12)
    np.testing.assert_array_equal(back.duty, start.duty)


@given(st.lists(st.sampled_from(IDS), unique=True, max_size=30), st.randoms())
def test_the_order_of_liftings_does_not_matter(ids, random):
    one, other = (Regime.load().at(DAY, CODES, GOODS) for _ in range(2))
    shuffled = random.sample(ids, len(ids))
    for at, order in ((one, ids), (other, shuffled)):
        for id in order:
            at.end(Lifting("all", id=id))
    np.testing.assert_array_equal(one.change().weight, other.change().weight)
    np.testing.assert_array_equal(one.change().duty, other.change().duty)
    direct = Regime.load().weight(CODES, GOODS, on=DAY, without=ids)
    np.testing.assert_array_equal(one.change().weight, direct)


def test_imposed_and_lifted_the_world_is_where_it_was(economy: Economy):
    held = [
        measure.id
        for measure in Regime.load().on(DAY).measures
        if measure.sender == "EU27" and measure.reading
    ][::7]
    steps = [{"lift": {"by": "EU27", "id": id}} for id in held]
    steps += [{"snapback": {"by": "EU27"}}, {"impose": {"id": "eu-2025-1494-banks"}}]
    steps += [{"lift": {"by": "EU27", "id": "eu-2025-1494-banks"}}]
    content = {"name": "round", "title": "There and back", "base": "status-quo-2025", "measures": steps}
    outcome = simulate(economy, content, "status-quo-2025")
    assert float(abs(outcome.real_income).max()) < 1e-10  # percent: 1e-12 of real income


# The shipped catalogue --------------------------------------------------------------------------------------


def test_the_state_groups_measures_by_who_can_end_them(shipped: Regime):
    state = shipped.on(DAY)
    assert state.date == datetime.date(2025, 2, 17)
    groups = state.by_authority()
    assert sum(len(group.measures) for group in groups) == len(state.measures) >= 80
    american = {group.rule: group for group in groups if group.sender == USA}
    assert {"executive-alone", "certification", "statute"} <= set(american)
    assert american["statute"].days[0] > american["executive-alone"].days[0]


def test_lifted_for_some_senders_only(shipped: Regime):
    codes = shipped.weight(CODES, GOODS, on=DAY, lifted_for={"eu-2022-879-oil": ["DEU"]})
    now = shipped.weight(CODES, GOODS, on=DAY)
    assert codes[CODES.index(DEU), 0, 0] > now[CODES.index(DEU), 0, 0]
    assert codes[CODES.index("FRA"), 0, 0] == now[CODES.index("FRA"), 0, 0]


def test_the_statute_keeps_american_oil_shut_when_the_order_goes(shipped: Regime):
    at = shipped.at(DAY, CODES, GOODS)
    at.end(Lifting(USA, RUS, authority="executive-alone"))
    freed = at.change().weight
    now = shipped.weight(CODES, GOODS, on=DAY)
    assert freed[1, 0, 0] < 1.2 * now[1, 0, 0]  # oil: the act of 2022 binds as tightly as the order
    assert freed[0, 1, 1] > 5 * now[0, 1, 1]  # chips: nothing but export rules of the executive


def test_cells_are_where_a_measure_acts(shipped: Regime):
    cells = shipped.cells(["eu-2022-879-oil"], CODES, GOODS)
    assert cells[2, 0, 0]
    assert cells.sum() == 2  # Germany's and France's oil from Russia
    with pytest.raises(InputError, match="There is no measure"):
        shipped.cells(["eu-oil"], CODES, GOODS)


def test_the_regime_is_quick(shipped: Regime):
    world = World.load()
    shipped.weight(world.countries, world.sectors, on=DAY)  # the grid is made once
    start = time.perf_counter()
    shipped.weight(world.countries, world.sectors, on="2024-03-01")
    assert time.perf_counter() - start < 0.5  # 0.02 s on an idle machine of 2026; the rest is for a busy one


def test_both_readings_of_the_status_quo_agree_in_size():
    economy = calibrate(World.load())
    lost = [
        -float(simulate(economy, Scenario.load(name)).real_income.sel(country=RUS))
        for name in ("status-quo-2025", "status-quo-2025-aggregate")
    ]
    assert 0.5 < lost[0] / lost[1] < 2
