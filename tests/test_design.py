"""The cheapest pressure: slopes against differences, the frontier against brute force and rules of thumb."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import design, frontier
from detente.cli import app
from detente.errors import InputError
from detente.plan import plan
from tests import economies

DIFFERENCES = 1e-6  # of the largest slope, of central differences with a step of 1e-4 on residuals of 1e-12
GRID = 1e-3  # of the largest loss on a grid of cuts
LEAK = (
    1e-3  # of a flow that was banned: its effect is linear to this order, and far above the solver's residual
)
COST = 1e-3  # to which two points are said to cost the same
MOST = 0.8


def task(**given) -> design.Task:
    """Two senders against the fourth country of a small world with duties, costs and a ban."""
    return design.task(
        economies.economy(3), economies.shock(2), 3, [[0], [1, 2]], most=MOST, money=1e4, **given
    )


@pytest.fixture(scope="module")
def of():
    return task()


@pytest.fixture(scope="module")
def found(of):
    return frontier.frontier(of, points=4, starts=3)


# Slopes -----------------------------------------------------------------------------------------------------


def test_slopes_are_those_of_whole_solves(of, monkeypatch):
    monkeypatch.setattr(design, "settle", partial(design.settle, tolerance=1e-12))
    cuts = np.linspace(0.05, 0.6, of.count)
    loss, cost = design.slopes(of, cuts)
    _, both = design.weighed(of, cuts, -1.0, 0.7)
    np.testing.assert_allclose(both, -loss + 0.7 * cost, rtol=1e-4)
    for k in (0, of.count // 2, of.count - 1):
        step = 1e-4 * np.eye(of.count)[k]
        high, low = design.point(of, cuts + step), design.point(of, cuts - step)
        near = DIFFERENCES * abs(loss).max()
        assert loss[k] == pytest.approx((high.loss - low.loss) / 2e-4, abs=near)
        assert cost[k] == pytest.approx((high.cost - low.cost) / 2e-4, abs=near)


def test_a_point_is_the_shock_with_its_cuts(of):
    """The cut as a user would state it, solved by the public function."""
    cuts, flows = np.linspace(0, MOST, of.count), of.flows
    given = economies.shock(2)
    weight = np.array(given.weight_change)
    weight[flows.cells] *= 1 - cuts[flows.instrument]
    economy = economies.economy(3)
    before, after = (
        dt.solve(economy, shock) for shock in (given, dt.Shock(**{**vars(given), "weight_change": weight}))
    )
    gain = np.asarray(before.income) * (
        np.asarray(after.real_income_change) / np.asarray(before.real_income_change) - 1
    )
    at = design.point(of, cuts)
    assert at.loss == pytest.approx(-1e4 * gain[3], rel=1e-7)
    np.testing.assert_allclose(at.own, -1e4 * np.array([gain[0], gain[1] + gain[2]]), rtol=1e-7)


def test_banned_flows_are_no_instruments(of):
    """The shock bans what the fourth country sells to the third: only the second is left of this sender's imports."""
    at = of.flows
    assert not ((at.importer == 2) & (at.exporter == 3)).any()
    assert of.count == 2 * 2 * economies.SECTORS


def test_ending_a_ban_has_a_slope(of):
    """Central differences need a ban's other side; the one-sided one of a tiny leak must do, to its own order."""
    given = economies.shock(2)
    leak = np.array(given.blocked)
    leak[2, 3, 1] = False
    weight = np.array(given.weight_change)
    weight[2, 3, 1] = LEAK
    opened = dt.Shock(**{**vars(given), "blocked": leak, "weight_change": weight})
    first = design.along(of, [opened])[0, 0]
    exact = -of.welfare(dt.solve(of.economy, opened))[3]
    assert exact < 0
    assert first == pytest.approx(exact, rel=5 * LEAK)


# The frontier -----------------------------------------------------------------------------------------------


def test_two_cuts_against_brute_force():
    """One sender, one sector and two directions: the best on a grid, at every price, is no better than what is found."""
    given = economies.shares(3)
    economy = dt.Economy.from_shares(**given)
    of = design.task(economy, dt.Shock(), 3, [[0, 1, 2]], most=MOST, money=1e4)
    keep = (of.flows.sector == 0).nonzero()[0]
    flows = design.Flows(
        *(part[keep] for part in of.flows[:3]),
        np.where(of.flows.exporter[keep] == 3, 1, 0),
        np.zeros(2, int),
        np.array([True, False]),
        np.zeros(2, int),
        np.ones(2),
    )
    of = design.Task(**{**vars(of), "flows": flows})
    found = frontier.frontier(of, points=3, starts=3)
    grid = [
        design.point(of, np.array([a, b])) for a in np.linspace(0, MOST, 15) for b in np.linspace(0, MOST, 15)
    ]
    size = max(abs(at.loss) for at in grid)
    for best in found.points:
        brute = max(at.loss - best.price * at.cost for at in grid)
        assert best.point.loss - best.price * best.point.cost >= brute - GRID * size


def test_more_loss_costs_more(found):
    loss, cost, price = (
        np.array(values)
        for values in zip(*((b.point.loss, b.point.cost, b.price) for b in found.points), strict=True)
    )
    assert (np.diff(price) <= 0).all()
    assert (np.diff(loss) >= 0).all()
    assert (np.diff(cost) >= 0).all()
    assert loss[-1] > loss[0]
    assert all(best.spread >= 0 and best.starts == 3 for best in found.points)


def test_no_found_point_beats_another_at_its_price(found):
    for best in found.points:
        worth = [other.point.loss - best.price * other.point.cost for other in found.points]
        assert max(worth) <= best.point.loss - best.price * best.point.cost + 1e-9


@pytest.mark.parametrize("rule", [frontier.uniform, frontier.proportional])
def test_rules_of_thumb_press_less_for_the_same_cost(of, found, rule):
    along = frontier.curve(of, rule(of))
    assert along[0][1].loss == pytest.approx(0, abs=1e-6)
    for best in found.points[:-1]:
        other = frontier.at_cost(of, rule(of), along, best.point.cost)
        if other is not None:
            assert other.cost <= best.point.cost
            assert other.loss < best.point.loss


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_budget_is_kept_and_spent(of, found, share):
    most = found.points[-1].point
    budget = share * most.cost
    at = frontier.within(of, found, budget)
    assert budget * (1 - COST) <= at.cost <= budget
    uniform = frontier.at_cost(of, frontier.uniform(of), frontier.curve(of, frontier.uniform(of)), budget)
    assert uniform is not None
    assert at.loss > uniform.loss


def test_no_more_is_spent_than_brings_something(of, found):
    assert frontier.within(of, found, 1e9) is found.points[-1].point
    with pytest.raises(InputError, match="budget"):
        frontier.within(of, found, -1.0)


# Labels -----------------------------------------------------------------------------------------------------

HAND = """
name: hand
title: Cuts by hand
focus: RUS
measures:
  - { by: [USA, XCO], on: RUS, direction: imports, sectors: ENE, instrument: cut, size: 0.6 }
  - { by: XCO, on: RUS, direction: exports, sectors: GDS, instrument: cut, size: 0.5 }
"""


@pytest.fixture
def hand(tmp_path: Path) -> str:
    path = tmp_path / "hand.yaml"
    path.write_text(HAND, "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def economy():
    return dt.calibrate(dt.World.load("tiny"))


def test_cuts_in_force_are_found_with_their_size(economy, hand):
    made = plan(economy, "RUS", "USA,XCO", hand, points=2, starts=1)
    sizes = {(row.sender, row.direction, row.sector): row.cut for row in made.in_force}
    assert sizes == {
        ("USA", "imports", "ENE"): pytest.approx(0.6),
        ("XCO", "imports", "ENE"): pytest.approx(0.6),
        ("XCO", "exports", "GDS"): pytest.approx(0.5),
    }
    assert made.measures == ()
    assert made.agreement() == {}


def test_a_group_as_one_has_one_cut_for_all_its_members(economy):
    apart, one = (
        plan(economy, "RUS", "coalition", "baseline", points=2, starts=1, as_one=x) for x in (False, True)
    )
    assert one.task.count < apart.task.count
    assert one.names == ("coalition",)
    assert apart.names == ("USA", "XCO")
    assert one.points[-1].point.loss <= apart.points[-1].point.loss + COST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "RUSS"}, "RUSS"),
        ({"target": "coalition"}, "stands for 2 countries"),
        ({"senders": "RUS,USA"}, "cannot be among the senders"),
        ({"most": 1.0}, "largest cut"),
        ({"points": 1}, "at least 2 points"),
        ({"senders": "coalition,USA", "as_one": True}, "in two senders"),
    ],
)
def test_refusals(economy, change, message):
    given = {"target": "RUS", "senders": "USA,XCO", "against": "baseline"} | change
    with pytest.raises(InputError, match=message):
        plan(economy, **given)


def test_the_command(tmp_path, hand):
    out = tmp_path / "out"
    asked = [
        "design",
        "--world",
        "tiny",
        "--senders",
        "USA,XCO",
        "--against",
        hand,
        "--points",
        "3",
        "--starts",
        "1",
    ]
    done = CliRunner().invoke(app, [*asked, "--budget", "5", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "Within a budget of 5: Russia loses" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:20])) <= 120
    names = {"frontier.svg", "frontier.png", "frontier.csv", "cuts.csv", "design.json"}
    assert {path.name for path in out.iterdir()} == names
    content = json.loads((out / "design.json").read_text("utf-8"))
    assert content["budget"]["cost"] <= 5
    assert content["budget"]["loss"] > content["budget"]["uniform"]["loss"]
    page = (Path(__file__).parents[1] / "docs" / "design.md").read_text("utf-8").split("## JSON")[1]
    assert all(re.search(rf"[|,] {key}[ ,]", page) for key in content)
    assert all(f"`{key}`" in page for part in ("next", "frontier") for key in content[part][0])
    assert len((out / "cuts.csv").read_text("utf-8").splitlines()) == content["instruments"] + 1


@pytest.mark.slow
def test_first_order_ranks_measures_of_law_as_solving_without_each_does(economy):
    made = plan(economy, "RUS", "USA,XCO", points=2, starts=1, check=8)
    assert len([row for row in made.measures if row.solved_loss is not None]) == 8
    assert made.agreement()["loss"] > 0.9
    assert made.agreement()["cost"] > 0.9
