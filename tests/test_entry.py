"""Flows that the table does not have: what enters when measures end, and what does not."""

import numpy as np
import pytest

from detente.calibration import calibrate
from detente.catalogue import load_catalogue
from detente.economy import Economy
from detente.gravity import unsanctioned_share
from detente.outcome import simulate
from detente.regime import Regime
from detente.scenario import Scenario
from detente.world import World

RUS, USA, DEU = "RUS", "USA", "DEU"
DAY = "2025-02-17"
CHIPS, METALS, COAL = (RUS, USA, "C26"), (USA, RUS, "C24B"), (DEU, RUS, "B05")  # buyer, seller, sector
VISIBLE = 0.005  # USD billion
# Entry is a product of a few float64 factors; the mean of the data year has been summed over days.
ROUNDING = 1e-12


def place(economy: Economy, buyer: str, seller: str, sector: str) -> tuple[int, int, int]:
    n, i = economy.countries.index(buyer), economy.countries.index(seller)
    return n, i, economy.sectors.index(sector)


def without_flows(economy: Economy, *cells: tuple[str, str, str]) -> tuple[Economy, np.ndarray]:
    """The economy with flows made nil, bought at home instead; and a mask of where they are."""
    share, absent = np.array(economy.trade_share), np.zeros(economy.trade_share.shape, bool)
    for cell in cells:
        n, i, j = place(economy, *cell)
        share[n, n, j] += share[n, i, j]
        share[n, i, j], absent[n, i, j] = 0.0, True
    names = (
        "countries sectors input_share value_added_share consumption_share value_added deficit trade_elasticity "
        "unit unit_value closure"
    )
    given = {name: getattr(economy, name) for name in names.split()}
    return Economy.from_shares(trade_share=share, **given), absent


def trade(economy: Economy, scenario: str, *cells: tuple[str, str, str]) -> list[float]:
    """USD billion under the scenario."""
    after = simulate(economy, scenario, "baseline").trade()["after"]
    return [float(after.sel(importer=n, exporter=i, sector=j)) for n, i, j in cells]


def test_lifting_lets_flows_enter_by_what_it_eases_and_no_other_step_does(economy: Economy):
    less, absent = without_flows(economy, CHIPS, METALS, COAL)
    shock = Scenario.load("us-relief").shock(less)
    entry = np.asarray(shock.entry)
    regime, codes = Regime.load(), (less.countries, less.sectors)
    american = [measure.id for measure in load_catalogue() if measure.sender == USA]
    mean = regime.baseline_free(*codes)
    now = mean * regime.weight(*codes, on=DAY, without=american)
    share = np.where(absent, unsanctioned_share(less), 0)
    np.testing.assert_allclose(entry, share * np.maximum(now - mean, 0), rtol=ROUNDING, atol=1e-17)
    assert [entry[place(less, *cell)] > 0 for cell in (CHIPS, METALS, COAL)] == [True, True, False]
    assert np.asarray(shock.trade_cost_change)[place(less, *METALS)] == 1  # its duty is in no prediction
    assert np.asarray(shock.weight_change)[place(less, *METALS)] == 1
    assert Scenario.load("status-quo-2025").shock(less).entry is None  # tighter than 2022
    assert Scenario.load("us-relief").shock(economy).entry is None  # the table has all that is predicted


def test_what_entered_is_in_the_results(economy: Economy):
    less, _ = without_flows(economy, CHIPS, METALS, COAL)
    cells = CHIPS, METALS, COAL
    assert trade(less, "status-quo-2025", *cells) == [0, 0, 0]
    chips, metals, coal = trade(less, "us-relief", *cells)
    assert min(chips, metals) > VISIBLE
    assert coal == 0
    assert min(trade(less, "all-lift", *cells)) > VISIBLE


def test_what_entered_leaves_no_trace_when_the_relief_is_undone(economy: Economy):
    less, _ = without_flows(economy, CHIPS, METALS)
    steps = [{"lift": {"by": USA}}, {"snapback": {"by": USA}}]
    content = {"name": "round", "title": "There and back", "base": "status-quo-2025", "measures": steps}
    assert float(abs(simulate(less, content, "status-quo-2025").real_income).max()) < 1e-10  # percent


@pytest.mark.parametrize(
    ("measure", "left"),
    [({"instrument": "cut", "size": 0.6, "in_data": 0.2}, 0.4), ({"instrument": "ban"}, 0.0)],
    ids=["cut", "ban"],
)
def test_measures_by_hand_act_on_what_enters(economy: Economy, measure: dict, left: float):
    """A cut with all of its size: where there was no flow, the data year shows no part of it."""
    less, absent = without_flows(economy, CHIPS)
    own = {"by": USA, "on": RUS, "direction": "exports", "sectors": "C26", **measure}
    if "size" in own:
        own |= {"range": [0.6, 0.6], "basis": "estimate"}
    content = {"name": "again", "title": "Chips shut again", "base": "us-relief", "measures": [own]}
    before, after = (
        np.asarray(simulate(less, one, "baseline").after.situation.trade_weight).transpose(1, 2, 0)[absent]
        for one in ("us-relief", content)
    )
    assert before > 0
    assert after == pytest.approx(left * before, rel=ROUNDING)


def test_nothing_enters_where_nothing_is_predicted():
    tiny = calibrate(World.load("tiny"), "uniform-4")
    less, _ = without_flows(tiny, (RUS, USA, "GDS"))
    assert np.isnan(unsanctioned_share(less)).all()
    assert Scenario.load("us-relief").shock(less).entry is None
    assert trade(less, "us-relief", (RUS, USA, "GDS")) == [0]
