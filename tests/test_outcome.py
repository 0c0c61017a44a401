"""Outcomes on the embedded and the tiny world: comparisons, groups, files."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import detente as dt
from detente import labels
from detente.tables import default_parties

SUMS = 1e-9  # relative: sums of 80 doubles


@pytest.fixture(scope="module")
def relief(economy):
    return dt.simulate(economy, "us-relief")


def test_it_is_a_comparison_of_two_named_situations(relief, economy):
    assert (relief.scenario, relief.against) == ("us-relief", "status-quo-2025")
    status, lifted = (
        dt.simulate(economy, name, against="baseline") for name in ("status-quo-2025", "us-relief")
    )
    chained = (1 + lifted.real_income / 100) / (1 + status.real_income / 100) - 1
    assert relief.real_income.values == pytest.approx(100 * chained.values, abs=1e-8)


def test_a_situation_against_itself_is_zero(economy):
    same = dt.simulate(economy, "us-relief", against="us-relief")
    assert (same.real_income == 0).all()
    assert "come to the same" in same.summary()


def test_groups_add_up_in_money_and_weigh_percentages_by_spending(relief):
    union = relief.group("EU27")
    frame = relief.to_frame().loc[list(labels.country_groups()["EU27"])]
    assert union["equivalent_variation"] == pytest.approx(frame["equivalent_variation"].sum(), rel=SUMS)
    weighted = (frame["real_income"] * frame["income_before"]).sum() / frame["income_before"].sum()
    assert union["real_income"] == pytest.approx(weighted, rel=SUMS)
    assert union["real_income"] != pytest.approx(frame["real_income"].mean(), rel=0.01)


def test_equivalent_variation_is_spending_times_the_exact_change(relief):
    expected = relief.data["income_before"] * relief.real_income / 100
    assert relief.equivalent_variation.values == pytest.approx(expected.values, rel=SUMS)
    world = float(relief.data["income_before"].sum())
    assert 80_000 < world < 120_000  # USD billion: world GDP of 2022 was about 100 trillion


def test_bilateral_trade_balances_with_output(relief):
    trade = relief.trade()
    for when in ("before", "after"):
        sold = trade[when].sum("importer").values
        assert sold == pytest.approx(relief.data[f"output_{when}"].values, rel=1e-8, abs=1e-9)


def test_who_changes_its_measures(relief, economy):
    assert relief.changing("RUS") == {"USA"}
    assert relief.changing("USA") == {"RUS"}
    members = set(labels.country_groups()["coalition"])
    assert dt.simulate(economy, "all-lift").changing("RUS") == members
    assert default_parties(relief, "RUS")["Changes its measures"] == ["USA"]
    assert "USA" not in default_parties(relief, "RUS")["Keeps its measures"]


def test_the_first_order_split_is_refused_where_a_ban_has_no_logarithm(economy):
    with pytest.raises(dt.InputError, match="not defined when a flow is banned"):
        dt.simulate(economy, "embargo").first_order()


def test_first_order_is_close_for_a_small_shock(economy):
    """Halving the shock quarters the error: the split is right to first order."""
    cost = np.ones(economy.trade_share.shape)
    here = economy.countries.index("RUS")

    def miss(size):
        cost[here], cost[:, here], cost[here, here] = 1 + size, 1 + size, 1.0
        outcome = dt.simulate(economy, dt.Shock(trade_cost_change=cost), tolerance=1e-12)
        return abs(float((outcome.first_order()["total"] - outcome.real_income).sel(country="RUS")))

    assert miss(0.005) / miss(0.01) == pytest.approx(0.25, rel=0.1)


def test_saving(relief, tmp_path):
    relief.save(tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc", engine="h5netcdf") as file:
        assert file["real_income"].attrs["units"] == "percent"
        assert file["real_income"].values == pytest.approx(relief.real_income.values)
    relief.save(tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv", index_col="country")
    assert table.loc["RUS", "name"] == "Russia"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(dt.InputError, match=r"\.nc"):
        relief.save(tmp_path / "table.xlsx")
    with pytest.raises(dt.InputError, match="no folder"):
        relief.save(tmp_path / "nowhere" / "table.csv")
