"""Coalitions: the batch against single runs, the game against brute force, intensities against closed forms."""

import csv
import itertools
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import game, labels, roster
from detente import senders as module
from detente.answers import sentences
from detente.batch import holds_together, solve_mixture
from detente.burden import cheapest_transfers
from detente.cli import app
from detente.economy import Economy
from detente.errors import ConvergenceError, InputError
from detente.findings import Question, finding
from detente.intensity import cooperative, nash
from detente.senders import Coalition, coalition
from detente.situation import situation
from detente.stack import mixed, mixture, stacked
from tests import economies

AGREEMENT = 1e-9  # of welfare: both are solved to 1e-12
EXACT = 1e-9  # of sums of transfers and Shapley values, against the amounts themselves
ADDITION = 1e-14  # weights are mixed by one multiplication and one addition
PARABOLA = 2e-3  # in an intensity: central differences of a parabola are exact, steps end at 1e-3
TIGHT = 1e-12
CUTS = {  # by, size: what three members do to N3
    "N0": (0.6, "both"),
    "N1": (0.5, "imports"),
    "N2": (0.8, "both"),
}


def scenario(**more) -> dt.Scenario:
    """Three members against N3, one with a tariff besides, N3 with a measure of its own that stays."""
    steps = [
        {"by": by, "on": "N3", "instrument": "cut", "size": size, "direction": way}
        for by, (size, way) in CUTS.items()
    ]
    steps += [
        {"by": "N1", "on": "N3", "instrument": "tariff", "size": 0.3},
        {"by": "N3", "on": "N0", "instrument": "cost", "size": 0.2, "direction": "imports"},
    ]
    return dt.Scenario.load({"name": "three", "title": "Three against one", "measures": steps, **more})


@cache
def world(seed: int = 1) -> Economy:
    return economies.economy(seed)


@cache
def three(seed: int = 1) -> Coalition:
    return coalition(world(seed), scenario(), "N0,N1,N2", "N3", tolerance=TIGHT)


def ends(seed: int = 1):
    who = roster.roster(world(seed), "N0,N1,N2", "N3")
    keep = scenario()
    lift = roster.lifted(keep, who.names, "N3")
    return *(situation(world(seed), side.shock(world(seed))) for side in (keep, lift)), who.owner


# Mixing -----------------------------------------------------------------------------------------------------


def test_a_mixture_is_lift_at_nil_and_keep_at_one_to_the_bit():
    keep, lift, owner = ends()
    between = mixture(keep, lift, owner)
    for wanted, x in ((lift, 0.0), (keep, 1.0)):
        found = between.single(np.full(3, x))
        for name in ("trade_weight", "sales_weight", "tariff_weight", "export_tax_weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_a_mixture_is_the_stack_of_its_situations():
    keep, lift, owner = ends()
    x = np.random.default_rng(0).uniform(0, 1, (3, 5))
    found = mixed(keep, lift, owner, x)
    single = [mixture(keep, lift, owner).single(x[:, k]) for k in range(5)]
    wanted = stacked(single)
    assert found.has_axis == wanted.has_axis
    for mine, other in zip(found.situation.cross.trade, wanted.situation.cross.trade, strict=True):
        np.testing.assert_allclose(mine, other, atol=ADDITION)
    weight = np.asarray(single[2].trade_weight)
    a, b = (np.asarray(side.trade_weight)[:, 0, 3] for side in (lift, keep))
    np.testing.assert_allclose(weight[:, 0, 3], (1 - x[0, 2]) * a + x[0, 2] * b, atol=ADDITION)
    paid = sum(
        np.asarray(getattr(single[2], name))
        for name in ("sales_weight", "tariff_weight", "export_tax_weight")
    )
    np.testing.assert_allclose(
        paid, weight, atol=ADDITION
    )  # what buyers pay is what sellers and treasuries get


def test_situations_that_differ_elsewhere_are_refused():
    keep, lift, owner = ends()
    bare = owner.copy()
    bare[0, 3] = -1
    with pytest.raises(ValueError, match="importer 0 buys from exporter 3"):
        mixture(keep, lift, bare)


def test_where_a_ban_cuts_a_country_off_coalitions_are_solved_one_by_one():
    steps = [{"by": by, "on": "N3", "instrument": "ban"} for by in CUTS]
    shut = dt.Scenario.load({"name": "shut", "title": "Shut", "measures": steps})
    balanced = dt.balance(economies.economy(1, "fixed"))
    closed = coalition(balanced, shut, list(CUTS), "N3")
    assert closed.mixture is None
    assert closed.alone == 1
    assert not closed.messages
    alone = dt.simulate(balanced, shut, closed.lift)
    np.testing.assert_allclose(closed.variation[:, -1], alone.equivalent_variation, atol=1e-7)


# Tables -----------------------------------------------------------------------------------------------------


def test_every_coalition_is_the_single_run():
    found = three()
    assert found.mixture is not None
    for mask in range(8):
        out = [name for k, name in enumerate(found.members) if not mask >> k & 1]
        side = roster.lifted(scenario(), out, "N3") if out else scenario()
        alone = dt.simulate(world(), side, found.lift, tolerance=TIGHT)
        np.testing.assert_allclose(found.variation[:, mask], alone.equivalent_variation, atol=AGREEMENT)


def test_evasion_and_price_caps_go_the_long_way():
    evaded = scenario(evasion={"hubs": ["N2"], "sectors": "all"})
    found = coalition(world(), evaded, "N0,N1", "N3", tolerance=TIGHT)
    assert found.mixture is None
    side = roster.lifted(evaded, ["N0"], "N3")
    alone = dt.simulate(world(), side, found.lift, tolerance=TIGHT)
    np.testing.assert_allclose(found.variation[:, 0b10], alone.equivalent_variation, atol=AGREEMENT)
    with pytest.raises(InputError, match="without evasion"):
        found.payoffs(0.5)


def test_blocs_and_shipped_scenarios_on_the_tiny_world():
    economy = dt.calibrate(dt.World.load("tiny"))
    found = dt.coalition(economy, "us-relief", ["USA", "XCO"])
    assert (found.keep.name, found.members) == ("status-quo-2025", ("USA", "XCO"))
    assert roster.leavers(dt.Scenario.load("us-relief"), found.roster, economy.countries) == (0,)
    assert roster.leavers(dt.Scenario.load("all-lift"), found.roster, economy.countries) == ()
    relief = dt.simulate(economy, "us-relief", found.lift)
    np.testing.assert_allclose(found.variation[:, 0b10], relief.equivalent_variation, atol=1e-6)
    assert found.exits().loc["others", "USA"] == pytest.approx(
        float(found.worth("XRW")[0b10] - found.worth("XRW")[0b11]), rel=1e-12
    )


def test_a_coalition_without_a_solution_is_named_and_shapley_refused(monkeypatch: pytest.MonkeyPatch):
    def failing(*args, **more):
        found = solve_mixture(*args, **more)
        found.result[5], found.values["real_income_change"][:, 5] = 1, np.nan
        return found.__class__(**{**vars(found), "message": ("",) * 5 + ("no luck.",) + ("",) * 2})

    monkeypatch.setattr(module, "solve_mixture", failing)
    found = coalition(world(), scenario(), "N0,N1,N2", "N3")
    assert found.messages == {5: "no luck."}
    assert np.isfinite(found.variation[:, 3]).all()
    with pytest.raises(ConvergenceError, match="N0, N2 keeps: no luck"):
        _ = found.efficiency


@pytest.mark.parametrize(
    ("members", "target", "says"),
    [
        ("N0,N4", "N3", "no country `N4`"),
        ("N0,N0", "N3", "Name every country once"),
        ("N0,N3", "N3", "in `N3` and in the target"),
        ("", "N3", "0 members are named"),
        ("N0,N1,N2", "N9", "no country `N9`"),
    ],
)
def test_rosters_that_cannot_be_are_refused(members: str, target: str, says: str):
    with pytest.raises(InputError, match=says):
        coalition(world(), scenario(), members, target)


def test_a_member_without_measures_is_refused():
    only = dt.Scenario.load(
        {
            "name": "one",
            "title": "One",
            "measures": [{"by": "N0", "on": "N3", "instrument": "cut", "size": 0.5}],
        }
    )
    with pytest.raises(InputError, match="Leave out of the members"):
        coalition(world(), only, "N0,N1", "N3")


# The game on them -------------------------------------------------------------------------------------------


def test_shapley_values_add_up():
    found = three()
    assert found.efficiency.pressure.sum() == pytest.approx(-found.on_target[-1], rel=EXACT)
    np.testing.assert_allclose(found.efficiency.borne, -found.own[:, -1], rtol=EXACT)


def test_the_dictionary_has_every_column():
    rows = {row["name"]: row["axes"] for row in labels.variables() if row["group"] == "Coalition"}
    found = three()
    columns = dict.fromkeys(map(str, found.frame([0])), "member")
    arrays = {name: " ".join(map(str, getattr(found, name).dims)) for name in ("variation", "income")}
    assert rows == arrays | columns


def test_equal_burden():
    found = three()
    table = found.frame()
    after = (found.own[:, -1] + table["transfer"].to_numpy()) / found.member_income
    np.testing.assert_allclose(after, after[0], rtol=EXACT)
    assert table["transfer"].sum() == 0.0


def best_moves(found: Coalition, worth: float) -> set[int]:
    """Coalitions from which nobody moves, by trying every move on payoffs."""
    pay = found.own - worth * found.on_target
    return {mask for mask in range(8) if all(pay[k, mask ^ (1 << k)] <= pay[k, mask] for k in range(3))}


def test_stability_is_what_trying_every_move_finds():
    found = three()
    level = game.break_even(found.effects)
    finite = np.unique(
        level[np.isfinite(level) & (level > 0)].round(9)
    )  # each is there with and without its member
    grid = np.concatenate([[0.0], (finite[1:] + finite[:-1]) / 2, [2 * finite[-1]]])
    seen = set()
    for worth in grid:
        stable = set(game.stable_coalitions(game.gain(found.effects, worth)))
        assert stable == best_moves(found, worth)
        between = {s for low, high, s in game.stable_intervals(found.effects) if low <= worth <= high}
        assert between == stable
        seen |= stable
    assert len(seen) > 2


def test_after_an_exit_break_even_is_where_two_single_runs_are_worth_the_same():
    found = three()
    table = found.frame([0])
    keep, leave = (roster.lifted(scenario(), out, "N3") for out in (["N0"], ["N0", "N2"]))
    runs = [
        dt.simulate(world(), side, found.lift, tolerance=TIGHT).equivalent_variation for side in (keep, leave)
    ]
    own, target = (float(runs[0].sel(country=c) - runs[1].sel(country=c)) for c in ("N2", "N3"))
    assert table["break_even_after"]["N2"] == pytest.approx(own / target, rel=1e-6)
    assert np.isnan(table["break_even_after"]["N0"])


def test_one_veto_ends_what_the_bloc_keeps():
    """N0 and N1 as one bloc: it keeps exactly where both have a gain, each at its part of λ."""
    who = three()
    at = np.concatenate(who.roster.places[:2])
    both = roster.Roster(("bloc", "N2"), (at, who.roster.places[2]), who.roster.target, who.roster.owner)
    masks = [0b000, 0b011, 0b100, 0b111]
    made = replace(who, roster=both, variation=who.variation.isel(coalition=masks))
    income, worth = made.income.to_numpy()[at], made.variation.to_numpy()
    share = income / income.sum()
    for lam in np.linspace(0, 5, 41):
        gains = game.gain(made.voting, lam)[0]
        for mask in range(4):
            kept, left = mask | 1, mask & 2
            states = (
                worth[at, kept]
                - worth[at, left]
                - lam * share * (made.on_target[kept] - made.on_target[left])
            )
            assert (gains[mask] >= 0) == (states >= 0).all()
            assert gains[mask] == pytest.approx((states / share).min(), rel=1e-9)
    assert made.decider(0, 3) in ("N0", "N1")


def test_every_key_of_the_json_is_documented():
    found = finding(three(), "made up", Question((0,), (0.4,)))
    entry = found["at_lambda"][0]
    keys = {*found, *found["members"][0], *found["target"], *found["stayers"], *entry, *entry["transfers"]}
    keys |= {*found["stable"][0], *found["cascade"], *found["cascade"]["pieces"][0]} - {"pieces"}
    page = (Path(__file__).parents[1] / "docs" / "coalition.md").read_text("utf-8")
    listed = {
        word for line in page.splitlines() if line.startswith("| `") for word in re.findall(r"`(\w+)`", line)
    }
    assert keys - {"lambda"} <= listed


@pytest.mark.parametrize("exits", [(), (0, 1, 2)])
def test_nobody_may_leave_and_all_may(exits: tuple[int, ...]):
    found = finding(three(), "made up", Question(exits, (0.4,)))
    json.dumps(found, allow_nan=False)
    assert list(sentences([found], "units")) == ["C17"]


def test_findings_are_plain_and_transfers_balance():
    found = finding(three(), "made up", Question((0,), (0.0, 0.4, 3.0)))
    json.dumps(found, allow_nan=False)
    assert [row["member"] for row in found["members"]] == ["N0", "N1", "N2"]
    for entry in found["at_lambda"]:
        paid = list(entry["transfers"]["received"].values())
        assert sum(paid) == pytest.approx(
            entry["transfers"]["missing"], abs=1e-9 * max(map(abs, [*paid, 1e-9]))
        )
    gains = game.gain(three().effects, 0.4)
    assert found["at_lambda"][1]["transfers"]["gross"] == cheapest_transfers(gains, 0b110).gross
    assert found["holds"]["full"] == pytest.approx(max(0, game.break_even(three().effects)[:, -1].max()))


# Intensities ------------------------------------------------------------------------------------------------


def quadratic(x: np.ndarray) -> np.ndarray:
    """b_i Σx − c_i x_i²/2 − d x_i Σ_{j≠i} x_j."""
    total = x.sum(axis=0)
    return B[:, None] * total - C[:, None] * x**2 / 2 - D * x * (total - x)


B, C, D = np.array([1.0, 0.9, 0.5]), np.array([2.0, 1.5, 3.0]), 0.2


def test_intensities_of_quadratic_payoffs_are_those_of_linear_equations():
    own = np.diag(C) + D * (1 - np.eye(3))
    wanted = np.linalg.solve(own, B)
    assert ((wanted > 0) & (wanted < 1)).all()
    for found in nash(quadratic, 3, slack=1e-5):
        assert found.converged
        np.testing.assert_allclose(found.x, wanted, atol=PARABOLA)
    together = np.diag(C) + 2 * D * (1 - np.eye(3))
    found = cooperative(quadratic, 3, slack=1e-5)
    best = max(
        (np.clip(x, 0, 1) for x in candidates(together, np.full(3, B.sum()))),
        key=lambda x: float(quadratic(x[:, None]).sum()),
    )
    assert all(each.converged for each in found)
    np.testing.assert_allclose(found[0].x, best, atol=PARABOLA)


def candidates(matrix: np.ndarray, right: np.ndarray):
    """Solutions with every choice of intensities held at 0, at 1, or free."""
    for held in itertools.product((0.0, 1.0, None), repeat=len(right)):
        free = [k for k, value in enumerate(held) if value is None]
        x = np.array([value or 0.0 for value in held])
        if free:
            x[free] = np.linalg.solve(matrix[np.ix_(free, free)], (right - matrix @ x)[free])
        yield x


def test_payoffs_at_the_corners_are_those_of_the_coalitions():
    found = three()
    corners = game.membership(3).astype(float)
    np.testing.assert_allclose(found.payoffs(0.7)(corners), found.own - 0.7 * found.on_target, atol=AGREEMENT)


def test_nobody_gains_from_another_intensity():
    found = three()
    lam = float(np.median(game.break_even(found.effects)[:, -1]))
    pay = found.payoffs(lam)
    for each in found.nash(lam, starts=(0.5,)):
        assert each.converged
        for k in range(3):
            tried = np.repeat(each.x[:, None], 9, axis=1)
            tried[k] = np.linspace(0.05, 0.95, 9)
            assert (pay(tried)[k] - each.payoff[k]).max() <= 2 * found._slack(lam)[k]
    assert (
        found.cooperative(lam, starts=(1.0,))[0].payoff.sum() >= each.payoff.sum() - found._slack(lam).sum()
    )


# The command ------------------------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["coalition", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


TINY = ("us-relief", "--world", "tiny", "--members", "USA,XCO")


def test_the_command_prints_answers_and_writes_files(tmp_path: Path):
    out = tmp_path / "made"
    printed = run(*TINY, "--lambda", "0.7", "--veto", "--out", str(out))
    for part in ("C8 ·", "C9 ·", "C17 ·", "λ after", "executive alone can end", "At λ = 0.7"):
        assert part in printed
    assert max(map(len, printed.splitlines())) <= 120
    names = {path.name for path in out.iterdir()}
    charts = {f"{name}.{kind}" for name in ("burden", "break_even") for kind in ("svg", "png")}
    assert names == {"coalition.json", "members.csv", "exits.csv", "coalitions.csv"} | charts
    content = json.loads((out / "coalition.json").read_text("utf-8"))
    assert content["exit"] == ["USA"]
    assert [each["elasticities"] for each in content["readings"]] == ["caliendo-parro-2015", "uniform-4"]
    with (out / "coalitions.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert float(rows[3]["target"]) == -content["readings"][0]["target"]["loss"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lambda", "much"], "expected numbers of at least 0"),
        (["--intensities"], "needs `--lambda`"),
        (["--exit", "XRW"], "no member `XRW`"),
        (["--elasticities", ","], "names no set"),
        (["--elasticities", "caliendo-paro-2015"], "Did you mean"),
    ],
)
def test_the_command_refuses_with_the_mend(arguments: list[str], says: str):
    result = CliRunner().invoke(app, ["coalition", *TINY, *arguments])
    assert isinstance(result.exception, InputError)
    assert says in str(result.exception)


def test_holding_together_is_asked_of_the_lower_weight():
    keep, lift, owner = ends()
    assert holds_together(world(), mixture(keep, lift, owner))
