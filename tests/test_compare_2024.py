"""The status quo of early 2025 against observed trade: the table's arithmetic, and the direction of coalition trade."""

import math

import pytest

import detente as dt
from detente.calibration import calibrate
from detente.equilibrium import solve
from tests import wiod
from tools import compare_2024 as tool

DATA = wiod.shared_data() / tool.FILE
needs_data = pytest.mark.skipif(not DATA.is_file(), reason=f"needs {tool.FILE} beside the repository")


def observed(**changes):
    """Four partners with round figures, USD million."""
    flows = {
        (partner, way, year): size * (1.5 if year == tool.LAST else 1.0)
        for partner, size in (("USA", 400.0), ("CHN", 300.0), ("KAZ", 200.0), ("UZB", 900.0))
        for way in ("exports", "imports")
        for year in (tool.FIRST, tool.LAST)
    }
    return flows | changes


def row(**changes):
    return tool.Row(
        **({"partner": "CHN", "direction": "exports", "coalition": False, "level": 1.0} | changes)
    )


def test_partners_are_ranked_by_trade_in_both_directions():
    flows = observed()
    flows["KAZ", "imports", tool.FIRST] = 1000.0
    assert tool.largest(flows, ["CHN", "KAZ", "RUS", "USA"], 2) == (["KAZ", "USA"], [])


def test_a_partner_without_a_figure_is_passed_over_and_named():
    flows = observed()
    del flows["USA", "exports", tool.LAST]
    assert tool.largest(flows, ["CHN", "KAZ", "RUS", "USA"], 2) == (["CHN", "KAZ"], ["USA"])


def test_nil_is_no_figure(tmp_path):
    path = tmp_path / "trade.csv"
    path.write_text("p,f,year,v,c\nKAZ,XG,2022,18.5,0\nKAZ,XG,2024,0.0,0\nUSA,MG,2024,,1\n", encoding="utf-8")
    assert tool.read(path) == {("KAZ", "exports", 2022): 18.5}


def test_fit_of_rows_worked_by_hand():
    rows = [
        row(model=10.0, observed=20.0, level=3.0),
        row(model=-30.0, observed=-10.0, level=1.0),
        row(model=5.0, observed=-1.0, level=1.0),
    ]
    found = tool.fit(rows)
    assert (found.rows, found.signs) == (3, 2)
    assert found.mean_error == pytest.approx((-10 - 20 + 6) / 3)
    assert found.mean_absolute_error == pytest.approx(12)
    assert found.weighted_absolute_error == pytest.approx((30 + 20 + 6) / 5)
    # centred: model 15, −25, 10; observed 17, −13, −4
    assert found.correlation == pytest.approx((255 + 325 - 40) / math.sqrt(950 * 474))
    assert math.isnan(tool.fit(rows[:1]).correlation)


@pytest.fixture(scope="module")
def tiny():
    """The tiny world under a cut of all trade between the United States and Russia."""
    economy = calibrate(dt.World.load("tiny"))
    cut = {"id": "cut", "by": "USA", "on": "RUS", "direction": "both", "sectors": "all", "instrument": "cut"}
    scenario = {"name": "cut", "title": "A cut", "measures": [cut | {"size": 0.5, "basis": "assumption"}]}
    return dt.simulate(economy, scenario, "baseline")


def test_model_trade_is_what_the_solved_situations_hold(tiny):
    economy = tiny.economy
    trade, usa, russia = solve(economy, dt.Shock()).trade(), *map(economy.countries.index, ("USA", "RUS"))
    goods = [k for k, code in enumerate(economy.sectors) if code != "SRV"]
    billion = economy.unit_value / 1e3
    found = tool.model_trade(tiny)
    assert set(found) == {(code, way) for code in ("USA", "XCO", "XRW") for way in ("exports", "imports")}
    # the baseline solved twice agrees to the solver's tolerance
    assert found["USA", "exports"][0] == pytest.approx(trade[usa, russia, goods].sum() * billion, rel=1e-8)
    assert found["USA", "imports"][0] == pytest.approx(trade[russia, usa, goods].sum() * billion, rel=1e-8)
    assert found["USA", "imports"][1] < 0.7 * found["USA", "imports"][0]


def test_the_changes_of_a_row(tiny):
    rows, together, passed = tool.compare(observed(), tiny)
    assert [(r.partner, r.direction) for r in rows] == [("USA", "exports"), ("USA", "imports")]
    assert passed == []
    before, after = tool.model_trade(tiny)["USA", "exports"]
    assert rows[0].observed == pytest.approx(50)
    assert rows[0].model == pytest.approx(100 * (after / before - 1))
    assert rows[0].error == pytest.approx(rows[0].model - 50)
    assert rows[0].level == pytest.approx(0.4)
    assert rows[0].coalition
    assert [r.partner for r in together] == ["coalition"] * 2
    assert together[0].model == pytest.approx(rows[0].model)


@pytest.fixture(scope="module")
def real():
    outcome = dt.simulate(calibrate(dt.World.load()), tool.SCENARIO, "baseline")
    return tool.compare(tool.read(DATA), outcome)


@needs_data
def test_ten_partners_in_both_directions_largest_first(real):
    rows, together, passed = real
    assert len(rows) == 2 * tool.MOST
    sizes = [a.level + b.level for a, b in zip(rows[::2], rows[1::2], strict=True)]
    assert sizes == sorted(sizes, reverse=True)
    assert [r.partner for r in rows[:4:2]] == ["CHN", "TUR"]
    assert passed == ["KAZ"]
    assert [r.partner for r in together] == ["coalition"] * 2 + ["others"] * 2


@needs_data
def test_coalition_trade_moves_the_way_it_did(real):
    """Down, both ways, as it was; Japan and South Korea's purchases fell without law (docs/gravity.md)."""
    rows, together, _ = real
    assert all(r.model < 0 and r.observed < 0 for r in together if r.coalition)
    wrong = {(r.partner, r.direction) for r in rows if r.coalition and r.model * r.observed <= 0}
    assert wrong <= {("JPN", "exports"), ("KOR", "exports")}
    assert all(r.model > 0 and r.observed > 0 for r in together if not r.coalition)


@needs_data
def test_the_printed_table_shows_every_row(real, capsys):
    tool.main(["--data", str(DATA.parent)])
    printed = capsys.readouterr().out.splitlines()
    rows, together, _ = real
    for wanted in (*rows, *together):
        assert tool.line(wanted) in printed
    tool.main(["--data", str(DATA.parent), "--brief"])
    brief = capsys.readouterr().out.splitlines()
    assert tool.line(together[0]) in brief
    assert tool.line(rows[0]) not in brief


def test_a_missing_file_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        tool.main(["--data", str(tmp_path)])
    assert "--data" in capsys.readouterr().err
