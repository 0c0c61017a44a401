"""Coalitions over years: against paths of explicit scenarios, against one year, and what an exit does against the game."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import batch, bench_path, cascade, endurance, game
from detente.accumulation import present_value
from detente.bench_game import follow_slack, followers
from detente.cli import app
from detente.course import Settings
from detente.departure import of_year, rise
from detente.economy import Economy
from detente.errors import InputError
from detente.roster import lifted
from detente.scenario import Scenario
from detente.senders import coalition
from detente.standoff import CoalitionPath, Standoff, coalition_path
from detente.transition import Transition, simulate_path
from tests import economies

TIGHT = 1e-12  # of equilibria
AGREEMENT = 1e-9  # of the largest welfare: sums over years of equilibria solved to 1e-12
STATIC = 1e-10  # of the same, where every year is the same equilibrium
EXACT = 1e-12
MEMBERS, YEARS = ("N0", "N1", "N2"), range(2022, 2026)
BARE = Settings(capital=False, hysteresis=None, foreign=False)
GROWING = Settings(foreign=False, hysteresis=0.6)
CUTS = {"N0": (0.6, "both"), "N1": (0.5, "imports"), "N2": (0.8, "both")}


def scenario() -> Scenario:
    """Three members against N3; one has a duty besides, and N3 a measure of its own that stays."""
    steps = [
        {"by": by, "on": "N3", "instrument": "cut", "size": size, "direction": way}
        for by, (size, way) in CUTS.items()
    ]
    steps += [
        {"by": "N1", "on": "N3", "instrument": "tariff", "size": 0.3},
        {"by": "N3", "on": "N0", "instrument": "cost", "size": 0.2, "direction": "imports"},
    ]
    return Scenario.load({"name": "three", "title": "Three against one", "measures": steps, "focus": "N3"})


@cache
def world() -> Economy:
    return replace(economies.economy(1), unit="million USD")


@cache
def three(decision: int | None = None, capital: bool = True) -> CoalitionPath:
    settings = replace(GROWING, capital=capital)
    how = {"years": YEARS, "decision": decision, "settings": settings, "tolerance": TIGHT}
    return coalition_path(world(), scenario(), MEMBERS, "N3", **how)


@cache
def tiny() -> Economy:
    return dt.calibrate(dt.World.load("tiny"))


def by_hand(found: Transition, free: int, path: int) -> np.ndarray:
    """EV_t of one path of a transition against another, at that one's prices [year, country], USD billion."""
    values, maker = found.paths.values, found.maker
    usual = (maker.invested * np.asarray(maker.economy.income))[:, None]
    built = (
        usual * values["investment"] * values["investment_price_change"] if found.settings.capital else 0.0
    )
    spent = (values["income"] - built)[..., free] * maker.money
    level = values["consumption_change"]
    return spent * (level[..., path] / level[..., free] - 1)


@pytest.mark.parametrize(("decision", "masks"), [(2022, [5]), (2024, range(1, 8))])
def test_each_coalition_is_the_path_of_a_scenario_with_lifts(decision, masks):
    """Every coalition as a scenario of its own, that keeps all until the decision."""
    found, keep = three(decision), scenario()
    assert found.years == tuple(range(decision, 2026))
    scale = abs(found.by_year).max().item()
    free = path_of(lifted(keep, MEMBERS, "N3"), decision)
    for mask in masks:
        out = [name for k, name in enumerate(MEMBERS) if not mask >> k & 1]
        other = path_of(lifted(keep, out, "N3") if out else keep, decision)
        both = replace(free, paths=replace(free.paths, values=joined(free, other)))
        wanted = by_hand(both, 1, 2)
        assert abs(wanted[: decision - 2022]).max(initial=0) < AGREEMENT * scale
        wanted = wanted[decision - 2022 :]
        np.testing.assert_allclose(found.by_year.values[..., mask], wanted, atol=AGREEMENT * scale)
        value = present_value(wanted, GROWING.rate).total * GROWING.rate / (1 + GROWING.rate)
        np.testing.assert_allclose(found.variation.values[:, mask], value, atol=AGREEMENT * scale)


def path_of(side: Scenario, decision: int) -> Transition:
    """The path on which all keep until the decision and `side` holds from then on."""
    how = {"years": YEARS, "settings": GROWING, "lift_years": [decision], "tolerance": TIGHT}
    return simulate_path(world(), side, scenario(), **how)


def joined(one: Transition, other: Transition) -> dict[str, np.ndarray]:
    """The values of one transition's paths, and the second path of another."""
    return {
        name: np.concatenate([values, other.paths.values[name][..., 1:]], axis=-1)
        for name, values in one.paths.values.items()
    }


def test_with_owners_and_finance_on_a_real_table():
    """Dividends, exits, premium and reserves of each coalition: the paths that `detente path` follows."""
    settings, years = Settings(finance=True), range(2023, 2028)
    found = coalition_path(tiny(), "us-relief", "USA,XCO", years=years, settings=settings, tolerance=TIGHT)
    assert found.years[0] == 2025
    keep = Scenario.load("status-quo-2025")
    free, alone = lifted(keep, ("USA", "XCO"), "RUS"), lifted(keep, ("USA",), "RUS")
    for side, mask in ((keep, 3), (alone, 2)):
        against = simulate_path(tiny(), side, free, years=years, settings=settings, tolerance=TIGHT)
        wanted = by_hand(against, 0, 1)[2:]
        np.testing.assert_allclose(
            found.by_year.values[..., mask], wanted, atol=AGREEMENT * abs(found.by_year).max().item()
        )


@pytest.mark.parametrize("years", [range(2022, 2024), range(2030, 2036)])
def test_where_nothing_links_the_years_it_is_the_coalition_of_one_year(years):
    """The annuity of a flow that stays is the flow: variations, incomes and break-even λ are those of one year."""
    wanted = coalition(world(), scenario(), MEMBERS, "N3", tolerance=TIGHT)
    found = coalition_path(world(), scenario(), MEMBERS, "N3", years=years, settings=BARE, tolerance=TIGHT)
    scale = abs(wanted.variation).max().item()
    np.testing.assert_allclose(found.variation, wanted.variation, atol=STATIC * scale)
    np.testing.assert_allclose(found.income, wanted.income, rtol=STATIC)
    np.testing.assert_allclose(found.frame([0])["break_even"], wanted.frame([0])["break_even"], rtol=1e-7)


def test_a_decision_in_the_last_year():
    """One year, and all after it alike."""
    found = three(2025)
    assert found.years == (2025,)
    np.testing.assert_allclose(found.variation, found.by_year.values[0], rtol=EXACT)


def test_more_keepers_press_more_and_capital_adds_to_it():
    """The target's loss grows with each member that joins; where capital is lost too, it is larger in the end."""
    found = three()
    for k in range(3):
        assert (game.marginal(-found.on_target, k) > 0).all()
    loss = -found.by_year.sel(country="N3", coalition=7).to_numpy()
    held = -three(capital=False).by_year.sel(country="N3", coalition=7).to_numpy()
    assert loss[-1] / loss[0] > held[-1] / held[0]


def test_what_does_not_converge_beside_the_others_is_solved_by_itself(monkeypatch):
    """With its own claims, transfers and capital: the same welfare from the solver of single situations."""
    together = batch.solve_stack

    def failing(*given, **named):
        found = together(*given, **named)
        return replace(found, residual=np.full_like(found.residual, np.inf))

    monkeypatch.setattr(batch, "solve_stack", failing)
    how = {"years": range(2022, 2024), "settings": GROWING, "tolerance": TIGHT}
    alone = Standoff(world(), scenario(), MEMBERS, "N3", **how)
    values = alone.variation([5])
    assert alone.alone == 4  # two coalitions in two years
    monkeypatch.undo()
    wanted = Standoff(world(), scenario(), MEMBERS, "N3", **how).variation([5])
    np.testing.assert_allclose(values, wanted, atol=AGREEMENT * abs(wanted).max())


def test_weights_of_years_are_those_of_the_sum():
    made = Standoff(world(), scenario(), MEMBERS, "N3", years=YEARS, settings=replace(BARE, rate=0.05))
    f = 1 / 1.05
    np.testing.assert_allclose(made.weight, (1 - f) * np.array([1, f, f**2, f**3 / (1 - f)]), rtol=EXACT)
    assert made.weight.sum() == pytest.approx(1, rel=EXACT)


# An exit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaver", range(3))
def test_an_exit_from_few_coalitions_is_that_of_the_game(leaver):
    found = three()
    table, effects = found.frame([leaver]), found.effects
    exit_ = of_year(found, [leaver])
    np.testing.assert_allclose(exit_.level, table["break_even"], rtol=EXACT)
    np.testing.assert_allclose(exit_.level_after, table["break_even_after"], rtol=EXACT)
    np.testing.assert_allclose(exit_.effect, table["exit_effect"], atol=EXACT)
    np.testing.assert_allclose(-exit_.own(exit_.whole), table["cost"], atol=EXACT)
    for slack in (0.0, 0.1, 3.0, 50.0):
        gains = game.gain(effects, game.just_rational(effects, slack / 100))
        course = cascade.cascade(gains, cascade.Rules(exits=(leaver,)))
        assert exit_.followers(slack) == course.order[1:]
    if np.isfinite(exit_.slack):
        assert exit_.followers(exit_.slack + 1e-6) == ()
        assert exit_.slack == 0 or exit_.followers(exit_.slack - 1e-6) != ()


def test_an_exit_is_solved_from_the_coalitions_around_it():
    """The same figures as from all, and no others are solved."""
    made = Standoff(world(), scenario(), MEMBERS, "N3", years=YEARS, settings=GROWING, tolerance=TIGHT)
    few, all_ = made.departure([1]), of_year(three(), [1])
    np.testing.assert_allclose(few.level_after, all_.level_after, rtol=1e-7)
    np.testing.assert_allclose(few.effect, all_.effect, atol=AGREEMENT * abs(three().variation).max().item())
    assert few.others == pytest.approx(all_.others, abs=1e-9)
    assert sorted(made._worth) == [0, 1, 3, 4, 5, 6, 7]


def test_the_study_reads_the_same_slack_and_followers():
    class Solved:
        def coalition(self, setting, scenario):
            return three()

    exit_ = of_year(three(), [2])
    assert follow_slack(Solved(), None, "three", ["N2"]) == pytest.approx(exit_.slack, abs=1e-9)
    assert followers(Solved(), None, "three", ["N2"], 0.1) == len(exit_.followers(0.1))


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (2.0, 3.0, 50.0),
        (2.0, 1.0, -50.0),
        (-1.0, 0.0, 0.0),
        (0.0, 1.0, np.inf),
        (1.0, np.inf, np.inf),
        (1.0, 1.0, 0.0),
    ],
)
def test_a_rise_of_a_break_even(before, after, wanted):
    assert rise(before, after) == pytest.approx(wanted)


# In words and as a command ----------------------------------------------------------------------------------


def test_the_answers_read_the_figures():
    """Verdicts from the figures: the same where both sides are the same exit, a change where harm is made of it."""
    exit_ = of_year(three(), [0])
    same = endurance.reading("any", exit_, exit_)
    answers = endurance.sentences([same], ["N0"], "USD billion")
    assert set(answers) == {"C8", "C9", "C17"}
    assert all(lines[-1] == "The verdict is the same." for lines in answers.values())
    other = json.loads(json.dumps(same))
    other["over_years"]["stayers"]["exit_effect_percent"] = -1.0
    other["one_year"]["stayers"]["exit_effect_percent"] = 0.0
    other["over_years"] |= {"slack": "never", "followers": [], "unheld": ["N1"]}
    other["one_year"]["slack"] = 0.0
    answers = endurance.sentences([other], ["N0"], "USD billion")
    assert answers["C8"][-1] == "The verdict changes: from “no” to “yes”."
    assert answers["C9"][-1] == "The verdict changes: from “it does” to “it does not”."
    assert "rises by at most any amount" in answers["C9"][1]
    assert "No λ keeps N1" in answers["C9"][1]
    mixed = endurance.sentences([same | {"over_years": same["one_year"]}, other], ["N0"], "USD billion")
    assert "it depends on the elasticities" in mixed["C8"][-1]


def test_figures_of_a_side_add_up():
    told = endurance.side(of_year(three(), [1]))
    rows = told["members"]
    assert told["stayers"]["exit_effect"] == pytest.approx(rows[0]["exit_effect"] + rows[2]["exit_effect"])
    assert sum(row["transfer"] for row in rows) == pytest.approx(0, abs=EXACT)
    assert rows[1]["break_even_after"] is None
    for row in rows:
        assert row["cost_percent"] == pytest.approx(100 * row["cost"] / row["income"])


QUICK = ("us-relief", "--world", "tiny", "--members", "USA,XCO", "--over-time", "--to", "2027")


def test_the_command(tmp_path):
    sets = ("--elasticities", "caliendo-parro-2015", "--foreign-capital", "off")
    result = CliRunner().invoke(
        app, ["coalition", *QUICK, *sets, "--out", str(tmp_path)], catch_exceptions=False
    )
    for part in (
        "the others keep what `status-quo-2025` has",
        "C8 ·",
        "C9 ·",
        "C17 ·",
        "Over years: ",
        "foreign capital off",
    ):
        assert part in result.output
    assert max(map(len, result.output.splitlines())) <= 120
    told = json.loads((tmp_path / "coalition.json").read_text("utf-8"))["over_time"]
    assert told["years"] == [2025, 2027]
    assert (tmp_path / "over_time.svg").exists()
    made = Standoff(tiny(), "us-relief", "USA,XCO", years=range(2022, 2028), settings=Settings(foreign=False))
    wanted = endurance.side(made.departure([0]))
    found = told["readings"][0]["over_years"]
    assert found["members"][1]["exit_effect"] == pytest.approx(wanted["members"][1]["exit_effect"], rel=1e-6)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--exit", "none"], "some members leave"),
        (["--foreign-capital", "maybe"], "expected on or off"),
        (["--end", "top"], "expected value, low or high"),
        (["--decision", "2040"], "decision is in 2040"),
    ],
)
def test_the_command_refuses_with_the_mend(more, says):
    result = CliRunner().invoke(app, ["coalition", *QUICK, "--elasticities", "4", *more])
    assert isinstance(result.exception, InputError)
    assert says in str(result.exception)


def test_kinds_of_the_study():
    """Quantities of a study from one exit; each asks the bench for it by names."""

    class Followed:
        def departure(self, setting, scenario, exits):
            return of_year(three(), [MEMBERS.index(name) for name in exits])

    exit_, bench, asked = of_year(three(), [0]), Followed(), (None, "three", ["N0"])
    effect = bench_path.path_exit_effect(bench, *asked)
    assert effect == pytest.approx(100 * exit_.effect[1:].sum() / exit_.member_income[1:].sum())
    one = bench_path.path_exit_effect(bench, *asked, party="N2")
    assert one == pytest.approx(100 * exit_.effect[2] / exit_.member_income[2])
    assert bench_path.path_exit_worth(bench, *asked) == pytest.approx(exit_.effect[1:].sum())
    assert bench_path.path_needed_worth(bench, None, "three", "N1", ["N0"]) == pytest.approx(
        exit_.level_after[1]
    )
    before = bench_path.path_needed_worth(bench, None, "three", "N1", ["N0"], before=True)
    assert before == pytest.approx(exit_.level[1])
    assert bench_path.path_followers(bench, *asked, slack=0.1) == len(exit_.followers(0.1))
    assert bench_path.path_unheld(bench, *asked) == 0
    with pytest.raises(InputError, match="no member"):
        bench_path.path_exit_effect(bench, *asked, party="N9")


def test_who_no_worth_keeps_is_taken_to_stay():
    """A member whose keeping helps the target follows nobody, and the slack is that of the others."""
    found = three()
    values = found.variation.to_numpy().copy()
    masks = np.arange(8)
    values[3, masks & 4 > 0] += 2 * game.last(-found.on_target)[2]  # with N2 in, the target is better off
    exit_ = replace(of_year(found, [0]), table=lambda wanted: values[:, list(wanted)])
    assert exit_.unheld == (2,)
    assert 2 not in exit_.followers(0.0)
    assert set(exit_.rises) == {1}


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"years": [2022, 2024]}, "one after the other"),
        ({"years": YEARS, "decision": 2030}, "decision is in 2030"),
        ({"years": YEARS, "settings": Settings(reversal=0.1, foreign=False)}, "chance of reversal"),
        ({"years": range(2022, 8022)}, "48,000 equilibria"),
    ],
)
def test_what_is_refused(more, match):
    with pytest.raises(InputError, match=match):
        coalition_path(world(), scenario(), MEMBERS, "N3", **({"settings": BARE} | more))


def test_the_decision_is_not_before_the_scenarios_day():
    with pytest.raises(InputError, match="from 2025 on"):
        Standoff(tiny(), "us-relief", "USA", years=range(2022, 2028), decision=2023)
    with pytest.raises(InputError, match="several countries"):
        Standoff(tiny(), "us-relief", "USA", "RUS,XRW", years=range(2022, 2028))


def test_who_has_nothing_to_lift():
    with pytest.raises(InputError, match="nothing to lift"):
        coalition_path(world(), scenario(), ["N0"], "N2", years=YEARS, settings=BARE)


def test_intensities_are_for_one_year():
    with pytest.raises(InputError, match="one year"):
        three().nash(0.5)
