"""Transition paths on the tiny world: dates, owners, customers, finance, expectations, and the command."""

import datetime
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import finance
from detente.acts import Suspension
from detente.cli import app
from detente.course import ENTRY, Maker, Settings, entry
from detente.dynamics import accounts
from detente.errors import InputError
from detente.path_chart import pictures
from detente.positions import Positions
from detente.scenario import Scenario
from detente.schedule import Calendar, on_day, span
from detente.transition import simulate_path

STILL = 1e-8  # percent: equilibria are solved to 1e-10
EXACT = 1e-12
YEARS = range(2022, 2031)
BARE = Settings(capital=False, hysteresis=None, foreign=False)


@pytest.fixture(scope="module")
def tiny():
    return dt.calibrate(dt.World.load("tiny"))


@pytest.fixture(scope="module")
def relief(tiny):
    return simulate_path(tiny, "us-relief", years=YEARS)


def test_nothing_happens_before_relief_and_something_after(relief):
    income = relief.data["real_income"].sel(path="us-relief")
    assert abs(income.sel(year=slice(2022, 2024))).max() < STILL
    assert income.sel(year=2025, country="RUS") > 0.05
    assert income.sel(year=2030, country="RUS") > income.sel(year=2025, country="RUS")
    assert relief.begins(1) == 2025
    assert [m.name for m in relief.moments[1][:4]] == [f"catalogue {y}-07-01" for y in (2022, 2023, 2024)] + [
        "us-relief"
    ]
    assert "USA" in relief.moments[1][2].senders
    assert "USA" not in relief.moments[1][3].senders


def test_held_capital_without_memory_is_the_static_result(tiny):
    """Then every year is the equilibrium that `simulate` finds."""
    found = simulate_path(tiny, "us-relief", years=range(2025, 2027), settings=BARE)
    wanted = dt.simulate(tiny, "us-relief").real_income
    for year in (2025, 2026):
        np.testing.assert_allclose(
            found.data["real_income"].sel(path="us-relief", year=year), wanted, atol=1e-6
        )
    np.testing.assert_allclose(found.long_run.sel(path="us-relief"), wanted, atol=1e-6)


def test_owners_come_back_by_half_lives(relief):
    stock = relief.data["foreign_capital"].sel(country="USA", path="us-relief").values
    table = Positions.load()
    assert float(stock[0]) == pytest.approx(table.stock(["USA", "RUS"])[0, 1], rel=EXACT)
    kept = (1 - table.figure("depreciation", "RUS").value) * (1 - table.figure("exit_rate", "RUS").value)
    np.testing.assert_allclose(stock[:4], stock[0] * kept ** np.arange(4), rtol=EXACT)
    half = table.figure("return_half_life").value
    gone = stock[0] - stock[3:]
    np.testing.assert_allclose(gone, gone[0] * 2 ** (-np.arange(6) / half), rtol=1e-10)
    other = relief.data["foreign_capital"].sel(country="USA", path="status-quo-2025")
    np.testing.assert_allclose(other, stock[0] * kept ** np.arange(9), rtol=EXACT)


def test_the_return_goes_to_the_owner(relief):
    """More of Russia's factor income in 2030 than without relief; what all receive and pay sums to zero."""
    abroad = relief.data["foreign_income"]
    got = abroad.sel(country="USA", year=2030)
    assert got.sel(path="us-relief") > got.sel(path="status-quo-2025")
    assert abs(abroad.sum("country")).max() < 1e-9
    earned = (
        Positions.load().figure("foreign_return", "RUS").value * Positions.load().stock(["USA", "RUS"])[0, 1]
    )
    assert abroad.sel(country="USA", year=2022, path="us-relief") < 0.5 * earned  # blocked for the most part


def test_world_accounts_close_on_a_whole_path(relief):
    """Exits, returns and blocked dividends with all: what is saved is invested or lent, and nobody lends to nobody."""
    paths = [relief.maker.years(moments)[0] for moments in relief.moments]
    told = accounts(relief.maker.economy, relief.paths, paths, relief.maker.growth)
    saved = told["earned"] - told["consumed"]
    np.testing.assert_allclose(saved, told["invested"] + told["lent"], atol=1e-10)
    np.testing.assert_allclose(told["lent"].sum(axis=1), 0.0, atol=1e-10)
    np.testing.assert_allclose(saved.sum(axis=1), told["invested"].sum(axis=1), atol=1e-10)


def test_the_present_value_is_the_sum_of_years(relief):
    worth = relief.data["worth"].sel(path="us-relief", country="RUS").values[3:]
    value = relief.present_value(2025).sel(path="us-relief", country="RUS")
    weight = 1.03 ** -np.arange(len(worth))
    assert float(value["transition"]) == pytest.approx((weight * worth).sum(), rel=EXACT)
    assert float(value["terminal"]) == pytest.approx(
        worth[-1] * 1.03 ** -len(worth) / (1 - 1 / 1.03), rel=EXACT
    )


def test_later_relief_brings_less(tiny):
    """Less is left to come back to, whatever the long run, which is the same."""
    found = simulate_path(tiny, "us-relief", years=range(2024, 2034), lift_years=[2025, 2028])
    gains = found.gain_by_date("RUS")
    assert [row["year"] for row in gains] == [2025, 2028]
    assert gains[0]["transition"] > gains[1]["transition"] > 0
    assert gains[0]["long_run"] == pytest.approx(gains[1]["long_run"], abs=1e-5)
    assert "gain" in pictures(found)


def test_memory_slows_the_way_back(tiny):
    settings = Settings(capital=False, foreign=False, hysteresis=0.5)
    slow = simulate_path(tiny, "us-relief", years=range(2022, 2027), settings=settings)
    quick = simulate_path(
        tiny, "us-relief", years=range(2022, 2027), settings=replace(settings, hysteresis=None)
    )
    first, later = (
        slow.data["real_income"].sel(path="us-relief", country="RUS", year=y) for y in (2025, 2026)
    )
    whole = quick.data["real_income"].sel(path="us-relief", country="RUS", year=2025)
    assert 0 < first < later < whole
    zero = simulate_path(
        tiny, "us-relief", years=range(2022, 2027), settings=replace(settings, hysteresis=0.0)
    )
    np.testing.assert_array_equal(zero.data["real_income"], quick.data["real_income"])


def test_imposed_then_lifted_is_off_by_what_the_formula_says(tiny):
    """After a cut to w in T years, the k-th year without it is a cut to w^(ρ^k (1 − ρ^T)); without memory it is none."""
    rho, size = 0.6, 0.5

    def cut(by: float) -> Scenario:
        measures = [{"by": "USA", "on": "RUS", "instrument": "cut", "size": by}]
        return Scenario.load({"name": "cut", "title": "Cut", "measures": measures})

    then = {2024: Scenario.load({"name": "none", "title": "None", "measures": [], "focus": "RUS"})}
    for memory in (rho, None):
        settings = replace(BARE, hysteresis=memory)
        found = simulate_path(tiny, cut(size), years=range(2022, 2026), settings=settings, then=then)
        income = found.data["real_income"].sel(path="cut")
        for k, year in enumerate((2024, 2025), start=1):
            left = 0.0 if memory is None else 1 - (1 - size) ** (rho**k * (1 - rho**2))
            wanted = dt.simulate(tiny, cut(left)).real_income if left else 0.0 * income.sel(year=year)
            np.testing.assert_allclose(income.sel(year=year), wanted, atol=STILL)


def test_relief_that_may_end(tiny):
    """Probabilities are geometric, and a path is that of the situation compared with after its reversal."""
    settings = replace(BARE, reversal=0.25)
    found = simulate_path(tiny, "us-relief", years=range(2024, 2028), settings=settings)
    assert found.names == (
        "status-quo-2025",
        "reversed in 2026",
        "reversed in 2027",
        "never reversed",
    )
    np.testing.assert_allclose(found.weight, [0, 0.25, 0.25 * 0.75, 0.75**2])
    lasting = float(found.data["real_income"].sel(path="never reversed", country="RUS", year=2026))
    wanted = lasting * np.array([0, 1, 0.75, 0.75**2])
    np.testing.assert_allclose(found.expected["real_income"].sel(country="RUS"), wanted, atol=STILL)
    np.testing.assert_allclose(found.mean_path("RUS"), wanted, atol=STILL)
    assert set(pictures(found)) == {"paths", "fan"}


def test_fewer_firms_return_to_relief_that_may_end():
    shares = [entry(p).share for p in (0.0, 0.1, 0.3, 0.6)]
    assert (np.diff(shares) < 0).all()
    assert entry(0.0).threshold < entry(0.3).threshold
    assert entry(0.1).waiting >= 0
    assert 0 < ENTRY["median"] < 1


def test_a_scenario_takes_over(tiny):
    then = {2027: Scenario.load("status-quo-2025")}
    found = simulate_path(tiny, "us-relief", years=range(2024, 2029), settings=BARE, then=then)
    income = found.data["real_income"].sel(path="us-relief", country="RUS")
    assert float(income.sel(year=2026)) > 0.05
    assert abs(float(income.sel(year=2027))) < STILL


def test_suspensions_end_on_their_day(tiny):
    pause = Scenario.load("us-relief")
    pause = replace(pause, measures=[Suspension(by="USA", on="RUS", until="2026-12-31")])
    assert on_day(pause, datetime.date(2026, 7, 1)) is pause
    assert not on_day(pause, datetime.date(2027, 7, 1)).measures
    moments = Calendar(tiny, "RUS").moments(pause, range(2025, 2028))
    assert ["USA" in m.senders for m in moments] == [False, False, True]


def test_measures_that_are_no_catalogue(tiny):
    """A scenario without a regime holds in all years; its own measures tell who acts."""
    measures = [{"by": "USA", "on": "RUS", "instrument": "cut", "size": 0.5}]
    own = Scenario.load({"name": "cut", "title": "Cut", "measures": measures})
    found = simulate_path(tiny, own, years=range(2022, 2024), settings=Settings(finance=True))
    assert [sorted(m.senders) for m in found.moments[1]] == [["USA"], ["USA"]]
    assert found.data["real_income"].sel(path="cut", country="RUS", year=2023) < 0
    assert abs(found.data["real_income"].sel(path="baseline")).max() < STILL


def test_years_that_cannot_be():
    for first, last in ((2021, 2030), (2030, 2030), (2035, 2022)):
        with pytest.raises(InputError, match="A path from"):
            span(first, last)


@pytest.mark.parametrize(("given", "match"), [({"rate": 0.0}, "rate"), ({"reversal": 1.0}, "reversal")])
def test_settings_that_cannot_be(given, match):
    with pytest.raises(InputError, match=match):
        Settings(**given)


def test_money_is_needed_for_stocks(tiny):
    other = replace(tiny, unit="index")
    with pytest.raises(InputError, match="index"):
        Maker(other, "RUS", Settings())


def test_reserves_come_back_in_parts_and_stop():
    held = [
        np.array(now) for now in ([0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0])
    ]
    flows = finance.released(np.array([0.0, 0.4, 0.6]), 0, [now.astype(bool) for now in held], 4)
    given = np.array(flows)
    np.testing.assert_allclose(given[:, 1], [0, -0.1, -0.1, 0, -0.1, -0.1, 0])
    np.testing.assert_allclose(given[:, 2], [0, 0, 0, 0, -0.15, -0.15, -0.15])
    np.testing.assert_allclose(given.sum(axis=1), 0, atol=EXACT)


def test_payments_and_thrift_by_hand():
    held = np.array([False, True, False])
    cost = finance.payment_cost(0.1, 0, held)[..., 0]
    np.testing.assert_array_equal(cost, [[1, 1.1, 1], [1.1, 1, 1], [1, 1, 1]])
    found = finance.thrift(0.02, 0, 0.5, 0.05, np.array([0.03, 0.04, 0.05]))
    np.testing.assert_allclose(found, [0.08 / 0.09, 1, 1])


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["path", *args, "--world", "tiny"], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_command(tmp_path):
    text = run("us-relief", "--to", "2027", "--out", str(tmp_path))
    assert "Russia" in text
    assert "long run" in text
    assert "capital in Russia" in text
    assert {"path.csv", "path.json", "paths.svg", "owners.svg"} <= {file.name for file in tmp_path.iterdir()}
    told = json.loads((tmp_path / "path.json").read_text())
    assert told["years"] == list(range(2022, 2028))
    assert told["paths"] == ["status-quo-2025", "us-relief"]
    assert told["situations"]["us-relief"][0] == "catalogue 2022-07-01"
    header = (tmp_path / "path.csv").read_text().splitlines()[0]
    assert header == "path,year,quantity,unit,country,value"


def test_the_command_with_chances_and_dates():
    quick = ("--capital", "off", "--foreign-capital", "off", "--hysteresis", "off", "--to", "2027")
    text = run("us-relief", "--reversal", "0.2", *quick)
    assert "value of waiting" in text
    assert "20\N{NO-BREAK SPACE}% a year, expected" in text
    told = json.loads(run("us-relief", "--lift-years", "2025:2026", "--json", *quick))
    assert told["paths"][1:] == ["us-relief in 2025", "us-relief in 2026"]
    assert told["probability"] is None


@pytest.mark.parametrize(
    ("args", "match"),
    [
        (("--lift-years", "2025"), None),
        (("--lift-years", "soon"), "2025:2032"),
        (("--lift-years", "2019:2020"), "from 2022"),
        (("--capital", "maybe"), "on or off"),
        (("--hysteresis", "2"), "sectors, off"),
        (("--end", "middle"), "value, low or high"),
        (("--then", "us-relief"), "a year and a scenario"),
        (("--reversal", "0.1", "--lift-years", "2025:2026"), "two questions"),
    ],
)
def test_options_that_cannot_be(args, match):
    if match is None:
        from detente.cli_path import _dates

        assert _dates(args[1], 2022, 2035) == [2025]
        return
    with pytest.raises(InputError, match=match):
        CliRunner().invoke(app, ["path", "us-relief", *args], catch_exceptions=False)
