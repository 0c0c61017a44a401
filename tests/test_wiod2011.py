"""Russia and the West in 2011 against figures computed from the same table by another program.

Target: exact change in real income, percent, with balanced trade, an iceberg factor of 30 on every flow
between Russia and the senders in both directions, and a trade elasticity of 4 everywhere. The figures are
printed to 2–3 digits, and the two programs may treat negative inventories a little differently, hence
0.02 points.
"""

import numpy as np
import pytest

from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import solve
from detente.shock import Shock
from tests import wiod

POINTS = 0.02
ICEBERG = 30.0
COUNTRIES = ("RUS", "USA", "DEU", "LTU", "CHN")
TARGET = {
    "West": (-4.94, -0.037, -0.256, -3.18, 0.035),
    "West without USA": (-4.55, 0.005, -0.255, -3.18, 0.032),
    "USA alone": (-0.33, -0.033, 0.004, 0.025, 0.002),
}
SENDERS = {
    "West": wiod.WEST,
    "West without USA": tuple(code for code in wiod.WEST if code != "USA"),
    "USA alone": ("USA",),
}

pytestmark = pytest.mark.skipif(
    not wiod.path().exists(), reason=f"{wiod.path().name} is not in {wiod.shared_data()} (set DETENTE_SHARED)"
)


@pytest.fixture(scope="module")
def economy() -> Economy:
    return calibrate(wiod.world(), elasticities=4.0, deficits="balanced")


@pytest.mark.parametrize("scenario", TARGET)
def test_real_income_matches_the_table(economy: Economy, scenario: str):
    cost = np.ones(economy.trade_share.shape)
    russia = economy.countries.index("RUS")
    senders = [economy.countries.index(code) for code in SENDERS[scenario]]
    cost[russia, senders] = cost[senders, russia] = ICEBERG
    found = solve(economy, Shock(trade_cost_change=cost))
    percent = 100 * (np.asarray(found.real_income_change) - 1)
    ours = {code: percent[economy.countries.index(code)] for code in COUNTRIES}
    wanted = dict(zip(COUNTRIES, TARGET[scenario], strict=True))
    assert ours == pytest.approx(wanted, abs=POINTS)


def test_the_west_has_33_members_in_the_table(economy: Economy):
    assert len(set(wiod.WEST) & set(economy.countries)) == 33
    assert np.abs(np.asarray(economy.deficit)).max() == 0


def test_the_table_is_read_whole():
    """Totals of the file survive, but for clipped cells and one floor."""
    world = wiod.world()
    with np.load(wiod.path(), allow_pickle=False) as file:
        intermediate = float(file["Z"].astype(float).sum())
        final = float(np.maximum(file["F"], 0).astype(float).sum())
    assert float(world.data["intermediate_trade"].sum()) == pytest.approx(intermediate, rel=1e-12)
    assert float(world.data["final_trade"].sum()) == pytest.approx(final + 4.73, abs=0.01)
    assert world.check() == []
