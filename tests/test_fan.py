"""Drawn paths on the tiny world: against paths one by one, in groups of any size, and draws that fail."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import fan
from detente.cli import app
from detente.course import Settings
from detente.draws import draw
from detente.errors import InputError
from detente.fan import drawable, simulate_paths
from detente.positions import Positions
from detente.ranges import Ranges
from detente.transition import simulate_path
from detente.uncertainty import behaving

SOLVED = 1e-7  # percent: ratios are solved to 1e-10
NEAR = 1e-7  # percent: draws within 1e-9 of the central position
YEARS = range(2024, 2028)


@pytest.fixture(scope="module")
def tiny():
    return dt.calibrate(dt.World.load("tiny"))


@pytest.fixture(scope="module")
def drawn(tiny):
    return simulate_paths(tiny, "us-relief", draws=5, years=YEARS, seed=3)


def around(**middle: float) -> dict:
    """Ranges from which every draw is all but the middle; from above, as a cut of exactly 0.9 shuts a border."""
    ends = {
        name: {"distribution": "uniform", "low": x, "high": x + 2e-9, "central": x}
        for name, x in middle.items()
    }
    return {"parameters": ends, "drawn": list(ends)}


def test_a_draw_at_the_central_values_is_the_path(tiny):
    """All of it: capital, owners, memory."""
    wanted = simulate_path(tiny, "us-relief", years=YEARS)
    ranges = around(cuts_position=0.5, trade_elasticity_scale=1.0)
    found = simulate_paths(
        tiny, "us-relief", draws=4, years=YEARS, ranges=ranges, parameters=list(ranges["drawn"])
    )
    for name in ("real_income", "consumption"):
        line = wanted.data[name].sel(path="us-relief").values
        for values in (*found.values[name], found.central.data[name].sel(path="us-relief").values):
            np.testing.assert_allclose(values, line, atol=NEAR)


def test_figures_at_an_end_are_those_of_that_end(tiny):
    """Positions of 1 in all figures are `--end high`."""
    wanted = simulate_path(tiny, "us-relief", years=YEARS, settings=Settings(end="high"))
    names = [name + fan.ENDING for name in (*fan.FIGURES["capital"], *fan.FIGURES["foreign"], fan.MEMORY)]
    high = Settings(positions=Positions.load().placed({name.removesuffix(fan.ENDING): 1.0 for name in names}))
    found = simulate_path(tiny, "us-relief", years=YEARS, settings=high)
    np.testing.assert_allclose(found.data["real_income"], wanted.data["real_income"], atol=SOLVED)
    assert set(drawable(Settings(), Ranges.load("long")).drawn) >= set(names)


def test_groups_of_any_size_give_the_same(tiny, drawn):
    """And the same seed the same draws."""
    found = simulate_paths(tiny, "us-relief", draws=5, years=YEARS, seed=3, group=4)
    np.testing.assert_array_equal(found.draws.values, drawn.draws.values)
    np.testing.assert_allclose(found.values["real_income"], drawn.values["real_income"], atol=SOLVED)
    assert drawn.residual < 1e-9
    assert not drawn.failed
    other = draw(drawn.ranges, 5, seed=4)
    assert (other.values != drawn.draws.values).all()


def test_bands_of_one_parameter_are_the_paths_at_its_quantiles(tiny):
    """The harder it is to change sellers, the more Russia gains from relief: order is kept."""
    name = "trade_elasticity_scale"
    found = simulate_paths(tiny, "us-relief", draws=4, years=YEARS, parameters=[name])
    scales = np.sort(found.draws.values[:, 0])[::-1]
    for level, scale in zip((0, 100), (scales[0], scales[-1]), strict=True):
        economy = behaving({name: float(scale)}, tiny, found.ranges)
        wanted = simulate_path(economy, "us-relief", years=YEARS).group("RUS")[1]
        np.testing.assert_allclose(found.bands("RUS", levels=[level])[0], wanted, atol=SOLVED)


def test_draws_that_fail_are_counted(tiny, drawn, monkeypatch):
    """They are in no band; the others stay what they are."""
    paths = fan._Asked.paths

    def some(self, draw, economy):
        if draw == drawn.draws[2]:
            raise InputError("this one is refused.")
        return paths(self, draw, economy)

    monkeypatch.setattr(fan._Asked, "paths", some)
    found = simulate_paths(tiny, "us-relief", draws=5, years=YEARS, seed=3)
    assert found.failed == {2: "this one is refused."}
    assert found.solved.tolist() == [True, True, False, True, True]
    assert np.isnan(found.values["real_income"][2]).all()
    kept = np.delete(drawn.of("RUS"), 2, axis=0)
    np.testing.assert_allclose(found.bands("RUS", levels=[0, 100]), [kept.min(0), kept.max(0)], atol=SOLVED)


def test_where_all_fail_there_are_no_bands(tiny, drawn):
    none = fan.Fan(drawn.central, drawn.ranges, drawn.draws, drawn.values, dict.fromkeys(range(5), "no"), 0.0)
    with pytest.raises(InputError, match="None of 5 draws has a solution"):
        none.bands("RUS")


def test_a_group_is_the_mean_by_spending(tiny, drawn):
    income = np.asarray(tiny.income)
    wanted = drawn.values["real_income"] @ (income / income.sum())
    np.testing.assert_allclose(drawn.of("all"), wanted, atol=1e-12)
    one = drawn.data["real_income"].sel(country="RUS", draw=2)
    np.testing.assert_array_equal(one, drawn.of("RUS")[2])
    assert drawn.data["parameters"].sel(draw=2, parameter="cuts_position") == drawn.draws[2]["cuts_position"]


def test_places_of_figures():
    table = Positions.load()
    low, high = table.placed({"capital_share": 0.0, "stock": 0.0}), table.placed({"capital_share": 1.0})
    row = table.figure("capital_share", "RUS")
    assert low.figure("capital_share", "RUS").value == row.low
    assert high.figure("capital_share", "RUS").value == row.high
    assert (
        table.placed({"capital_share": 0.5}).figure("capital_share").value
        == table.figure("capital_share").value
    )
    assert low.stock(["USA", "RUS"])[0, 1] == table.stock(["USA", "RUS"], "low")[0, 1]
    with pytest.raises(InputError, match="capital_shares"):
        table.placed({"capital_shares": 0.5})
    with pytest.raises(InputError, match="from 0 to 1"):
        table.placed({"capital_share": 1.5})


@pytest.mark.parametrize(
    ("settings", "message"),
    [(Settings(reversal=0.1), "`reversal`"), (Settings(end="low"), "`low`")],
)
def test_what_does_not_go_with_draws(tiny, settings, message):
    with pytest.raises(InputError, match=message):
        simulate_paths(tiny, "us-relief", draws=2, years=YEARS, settings=settings)


def test_the_command(tmp_path):
    run = ["path", "us-relief", "--world", "tiny", "--from", "2024", "--to", "2027"]
    made = CliRunner().invoke(
        app,
        [
            *run,
            "--draws",
            "4",
            "--parameters",
            "cuts_position,trade_elasticity_scale",
            "--json",
            "--out",
            str(tmp_path),
        ],
    )
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert found["drawn"] == ["cuts_position", "trade_elasticity_scale"]
    line = found["parties"]["RUS"]["real_income"]
    assert set(line) == {"central", "p5", "p25", "p50", "p75", "p95"}
    assert line["p5"][-1] < line["p50"][-1] < line["p95"][-1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "bands.csv",
        "draws.csv",
        "bands.json",
        "bands.svg",
        "bands.png",
    }
    for wrong in (["--seed", "1"], ["--draws", "3", "--reversal", "0.1"], ["--draws", "3", "--end", "low"]):
        assert CliRunner().invoke(app, [*run, *wrong]).exit_code != 0
