"""Scenarios with possible outcomes: what is read and refused, and that expectations are the mean of the outcomes."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import detente as dt
from detente import outcome as plain
from detente.acts import Snapback
from detente.cli import main
from detente.difference import compare, expected_weight, weight
from detente.measure import Lifting
from detente.report import write_report
from detente.wording import answer

SUMS = 1e-12  # a mean of three doubles, relative to the largest of them
SOLVED = 1e-8  # percent: each equilibrium is solved to a relative residual of 1e-10
NAME = "us-relief-at-risk"
CUT = dt.Measure("coalition", "RUS", "cut", 0.9, id="cut")
HEAD = "name: mine\ntitle: A test\nmeasures:\n  - {by: coalition, on: RUS, instrument: cut, size: 0.9, id: cut}\n"
HOLDS = "  - {name: it holds, probability: 0.75, measures: []}\n"
LIFTED = "  - {name: lifted, probability: 0.25, measures: [{lift: {by: USA}}]}\n"


ENDS = ((), (Lifting("USA"),), (Lifting("coalition"),))


def tree(*chances: float, ends=ENDS, **keys) -> dt.Scenario:
    """The cut with outcomes of these probabilities: it stays, America lifts, all lift."""
    names = ("stays", "America lifts", "all lift")
    outcomes = [dt.PossibleOutcome(*entry) for entry in zip(names, chances, ends, strict=False)]
    return dt.Scenario("tree", "A tree", [CUT], outcomes=outcomes, **keys)


@pytest.fixture(scope="module")
def tiny() -> dt.Economy:
    return dt.calibrate(dt.World.load("tiny"))


@pytest.fixture(scope="module")
def found(tiny) -> dt.Prospect:
    result = dt.simulate(tiny, tree(0.5, 0.3, 0.2))
    assert isinstance(result, dt.Prospect)
    return result


# The expectation --------------------------------------------------------------------------------------------


def test_every_outcome_is_the_ordinary_scenario_written_by_hand(tiny, found):
    hands = {"stays": [CUT], "America lifts": [CUT, Lifting("USA")], "all lift": [CUT, Lifting("coalition")]}
    assert list(found.outcomes) == list(hands)
    for name, steps in hands.items():
        alone = plain.simulate(tiny, dt.Scenario("hand", measures=steps))
        xr.testing.assert_allclose(found.outcomes[name].data, alone.data.drop_attrs(), rtol=0, atol=SOLVED)
    assert float(found.outcomes["stays"].real_income.sel(country="RUS")) < -1
    assert abs(float(found.outcomes["all lift"].real_income.sel(country="RUS"))) < SOLVED


def test_the_expectation_is_the_weighted_mean_of_every_figure(tiny, found):
    hands = [[CUT], [CUT, Lifting("USA")], [CUT, Lifting("coalition")]]
    alone = [plain.simulate(tiny, dt.Scenario("hand", measures=steps)) for steps in hands]
    for name, variable in found.data.items():
        parts = [side.data[name].values for side in alone]
        mean = 0.5 * parts[0] + 0.3 * parts[1] + 0.2 * parts[2]
        scale = np.abs(parts).max()
        np.testing.assert_allclose(variable.values, mean, rtol=0, atol=SOLVED * max(1.0, scale))
        assert variable.attrs == alone[0].data[name].attrs
    flows = [side.trade() for side in alone]
    after = 0.5 * flows[0]["after"] + 0.3 * flows[1]["after"] + 0.2 * flows[2]["after"]
    np.testing.assert_allclose(found.trade()["after"], after, rtol=1e-7)
    np.testing.assert_allclose(found.trade()["before"], flows[0]["before"], rtol=1e-12)
    for key in ("real_income", "equivalent_variation", "income_before"):
        mean = sum(
            p * side.group(["USA", "XCO"])[key] for p, side in zip((0.5, 0.3, 0.2), alone, strict=True)
        )
        assert found.group(["USA", "XCO"])[key] == pytest.approx(mean, rel=1e-7)
    xr.testing.assert_identical(found.expected, found.data)


def test_the_expectation_is_not_the_result_of_the_mean_measure(tiny):
    mixed = dt.simulate(tiny, tree(0.5, 0.5, ends=((), (Lifting("coalition"),))))
    half = plain.simulate(tiny, dt.Scenario("half", measures=[dt.Measure("coalition", "RUS", "cut", 0.45)]))
    russia = [float(side.real_income.sel(country="RUS")) for side in (mixed, half)]
    assert russia[0] < 1.03 * russia[1] < 0  # losses grow faster than the cut


@pytest.mark.parametrize("epsilon", [1e-3, 1e-6])
def test_an_outcome_that_is_nearly_certain_is_nearly_the_expectation(tiny, epsilon: float):
    near = dt.simulate(tiny, tree(epsilon, 1 - epsilon))
    assert isinstance(near, dt.Prospect)
    sure, other = near.outcomes["America lifts"].real_income, near.outcomes["stays"].real_income
    np.testing.assert_allclose(near.real_income - sure, epsilon * (other - sure), rtol=0, atol=SUMS * 100)
    assert abs(near.real_income - sure).max() <= 1.001 * epsilon * abs(other - sure).max()


def test_outcomes_that_are_the_same_expect_just_that(tiny):
    same = dt.simulate(tiny, tree(0.1, 0.2, 0.7, ends=((), (), ())))
    alone = plain.simulate(tiny, dt.Scenario("hand", measures=[CUT]))
    np.testing.assert_allclose(same.real_income, alone.real_income, rtol=SUMS)


def test_the_order_of_outcomes_changes_nothing(tiny, found):
    scenario = tree(0.5, 0.3, 0.2)
    turned = dt.simulate(tiny, replace(scenario, outcomes=scenario.outcomes[::-1]))
    assert isinstance(turned, dt.Prospect)
    assert list(turned.outcomes) == list(found.outcomes)[::-1]
    np.testing.assert_allclose(turned.real_income, found.real_income, rtol=SUMS, atol=SUMS)
    np.testing.assert_allclose(turned.trade()["after"], found.trade()["after"], rtol=SUMS)
    key = ["outcome", "quantity", "country", "partner"]
    one, other = (pd.DataFrame(side.rows()).set_index(key).sort_index() for side in (found, turned))
    pd.testing.assert_frame_equal(one, other, rtol=SUMS, atol=SUMS)


def test_it_is_solved_if_all_are(tiny):
    rough = dt.simulate(tiny, tree(0.5, 0.5), tolerance=1e-30, throw=False)
    assert isinstance(rough, dt.Prospect)
    assert not rough.converged
    assert rough.residual == max(side.residual for side in rough.outcomes.values())
    assert "NOT CONVERGED" in rough.summary()
    with pytest.raises(dt.ConvergenceError):
        dt.simulate(tiny, tree(0.5, 0.5), tolerance=1e-30)


def test_who_changes_its_measures_in_any_outcome(found):
    baseline = found.situation_before.name
    assert baseline == "baseline"
    assert found.changing("RUS") == {"USA", "XCO"}
    assert found.outcomes["America lifts"].changing("RUS") == {"XCO"}
    assert found.outcomes["all lift"].changing("RUS") == set()


# Files and words --------------------------------------------------------------------------------------------


def test_saving_keeps_every_outcome(found, tmp_path):
    with xr.open_dataset(found.save(tmp_path / "all.nc"), engine="h5netcdf") as stored:
        assert stored["outcome"].values.tolist() == [*found.outcomes, "expected"]
        assert stored["probability"].values.tolist() == [0.5, 0.3, 0.2, 1.0]
        for name, side in (*found.outcomes.items(), ("expected", found)):
            np.testing.assert_array_equal(stored["real_income"].sel(outcome=name), side.real_income)
    frame = pd.read_csv(found.save(tmp_path / "table.csv"), index_col="country")
    assert frame.loc["RUS", "real_income"] == pytest.approx(float(found.real_income.sel(country="RUS")))


def test_rows_hold_every_outcome_and_the_mean_of_each_figure(found):
    rows = pd.DataFrame(found.rows())
    assert set(rows["outcome"]) == {*found.outcomes, "expected"}
    assert set(rows["quantity"]) > {"real_income", "equivalent_variation", "exports_change", "imports_change"}
    table = rows.pivot_table(index=["quantity", "country", "partner"], columns="outcome", values="value")
    mean = sum(p * table[name] for name, p in found.probability.items())
    np.testing.assert_allclose(table["expected"], mean, rtol=1e-9, atol=1e-9)
    assert rows["value"].notna().all()
    with pytest.raises(dt.InputError, match="RSU"):
        found.rows("RSU")


def test_json_has_the_expectation_where_a_result_stands_and_lists_the_outcomes(tiny, found):
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content.keys() - {"outcomes"} == dt.simulate(tiny, "us-relief").to_json().keys() - {
        "markets",
        "instruments",
    }  # of one situation each
    assert [entry["name"] for entry in content["outcomes"]] == list(found.outcomes)
    for key in ("real_income", "equivalent_variation_usd_bn"):
        mean = sum(entry["probability"] * entry[key]["RUS"] for entry in content["outcomes"])
        assert content[key]["RUS"] == pytest.approx(mean, rel=SUMS)


def test_the_summary_shows_each_outcome_or_of_many_the_ends(tiny, found):
    text = found.summary().replace("\N{NO-BREAK SPACE}", " ")
    assert "tree compared with baseline: expected over 3 possible outcomes" in text
    assert "“stays” 50 %, “America lifts” 30 %, “all lift” 20 %" in text
    russia = next(line for line in text.splitlines() if line.startswith("Russia"))
    assert len(russia.split(" %")) == 5  # expected, and three
    names = [f"end {k}" for k in range(5)]
    ends = [
        dt.PossibleOutcome(n, 0.2, [dt.Measure("USA", "XRW", "cost", k / 10)]) for k, n in enumerate(names)
    ]
    many = dt.simulate(tiny, dt.Scenario("many", outcomes=ends))
    assert isinstance(many, dt.Prospect)
    lines = many.summary().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert any("lowest" in line and "highest" in line for line in lines)
    states = next(line for line in lines if line.startswith("United States")).split(" %")
    low, high = (many.outcomes[name].group("USA")["real_income"] for name in (names[-1], names[0]))
    assert states[1].strip() == f"−{abs(low):.2g}"
    assert abs(high) < SOLVED
    assert states[2].strip() == "≈ 0"
    russia = [float(side.real_income.sel(country=many.focus)) for side in many.outcomes.values()]
    ends = [names[pick(range(5), key=lambda k: russia[k])] for pick in (min, max)]
    assert any(line.endswith(f": lowest with “{ends[0]}”, highest with “{ends[1]}”") for line in lines)


def test_names_from_outside_are_escaped_in_the_report(tiny, tmp_path):
    outcomes = [dt.PossibleOutcome("<script>alert(1)</script>", 0.5), dt.PossibleOutcome("b & c", 0.5, [CUT])]
    paths = write_report(dt.simulate(tiny, dt.Scenario("s", outcomes=outcomes)), tmp_path, target="RUS")
    for name in ("report.html", "charts/real_income_by_outcome.svg"):
        assert "<script" not in paths[name].read_text("utf-8")


def test_the_answer_gives_the_ends_for_the_target(found):
    told = " ".join(answer(found, "RUS", {"A": ["RUS"]})).replace("\N{NO-BREAK SPACE}", " ")
    assert "expected over 3 possible outcomes, Russia loses" in told
    assert "(“stays”) to" in told
    assert "≈ 0 % (“all lift”)" in told


def test_the_report_shows_expectation_spread_and_outcomes(found, tmp_path):
    paths = write_report(found, tmp_path, target="RUS")
    assert {"outcomes.csv", "charts/real_income_by_outcome.svg", "charts/real_income_by_outcome.png"} <= set(
        paths
    )
    page = paths["report.html"].read_text("utf-8")
    assert page.index('id="answer"') < page.index('id="outcomes"') < page.index('id="map"')
    for name, chance in found.probability.items():
        assert f"{name}<br><small>{100 * chance:.0f} %</small>" in page
    assert "not the result of an average measure" in page
    with paths["outcomes.csv"].open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    (mine,) = [
        r for r in rows if (r["outcome"], r["quantity"], r["country"]) == ("stays", "real_income", "RUS")
    ]
    assert float(mine["value"]) == float(found.outcomes["stays"].real_income.sel(country="RUS"))
    assert (mine["probability"], mine["unit"]) == ("0.5", "percent")


def test_the_report_of_a_single_outcome_has_no_such_section(tiny, tmp_path):
    paths = write_report(dt.simulate(tiny, "us-relief"), tmp_path)
    assert "outcomes.csv" not in paths
    assert 'id="outcomes"' not in paths["report.html"].read_text("utf-8")


def test_the_difference_is_the_expected_one(tiny):
    world = dt.World.load("tiny")
    scenario, sure = tree(0.25, 0.75), dt.Scenario("sure", measures=[CUT])
    lifted = dt.Scenario("lifted", measures=[CUT, Lifting("USA")])
    mean = 0.25 * weight(sure.shock(tiny), tiny) + 0.75 * weight(lifted.shock(tiny), tiny)
    np.testing.assert_allclose(expected_weight(scenario, tiny), mean, rtol=1e-15)
    part, whole = (compare(sure, other, world, tiny) for other in (scenario, lifted))
    assert part.expected == ("tree",)
    assert whole.expected == ()
    np.testing.assert_allclose(part.direct, 0.75 * whole.direct, rtol=1e-12)
    xr.testing.assert_identical(part.freer, whole.freer)
    assert [line for line in part.only_second if line.startswith("With probability 75 %")]


# The scenario -----------------------------------------------------------------------------------------------


def test_the_steps_of_the_scenario_come_first_in_every_outcome(tiny):
    back = Snapback(by="USA")
    scenario = dt.Scenario(
        "s", measures=[CUT, Lifting("USA")],
        outcomes=[dt.PossibleOutcome("a", 0.5), dt.PossibleOutcome("b", 0.5, [back])],
    )  # fmt: skip
    branches = scenario.branches()
    assert [branch.steps() for branch in branches.values()] == [
        [CUT, Lifting("USA")],
        [CUT, Lifting("USA"), back],
    ]
    restored = np.asarray(branches["b"].shock(tiny).weight_change)
    np.testing.assert_allclose(
        restored, np.asarray(dt.Scenario("c", measures=[CUT]).shock(tiny).weight_change)
    )
    assert scenario.steps() == [CUT, Lifting("USA"), back]
    assert dt.Scenario("plain").branches() == {}


def test_a_file_and_python_say_the_same(tiny, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}outcomes:\n{HOLDS}{LIFTED}", "utf-8")
    scenario = dt.Scenario.load(path)
    assert [(entry.name, entry.probability) for entry in scenario.outcomes] == [
        ("it holds", 0.75),
        ("lifted", 0.25),
    ]
    mine = dt.simulate(tiny, scenario)
    theirs = dt.simulate(tiny, tree(0.75, 0.25))
    np.testing.assert_allclose(mine.real_income, theirs.real_income, atol=SOLVED)
    assert scenario.sentences()[-2:] == [
        "With probability 75 %, “it holds”: Nothing more is done.",
        "With probability 25 %, “lifted”: The United States lifts all its measures.",
    ]


def test_probabilities_that_sum_to_one_but_for_rounding_are_taken():
    assert len(tree(0.1, 0.2, 0.7).outcomes) == 3  # 0.1 + 0.2 + 0.7 < 1 in binary
    assert len(tree(1 / 3, 1 / 3, 1 / 3).outcomes) == 3
    with pytest.raises(dt.InputError, match=r"sum to 1.00000001, expected 1"):
        tree(0.5, 0.3, 0.20000001)


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (HOLDS, "line 5, `outcomes`: found `[{'measures': [], 'name': 'it holds', 'probability': 0.75}]`, expected two"),
        ("  []\n", "line 5, `outcomes`: found `[]`, expected two or more outcomes"),
        (HOLDS + LIFTED.replace("0.25", "0.3"), "line 5, `outcomes`: the probabilities sum to 1.05, expected 1: 0.75"),
        (HOLDS + LIFTED.replace("0.25", "0"), "line 7, outcome 2: the `probability` of `lifted` is 0; expected a number"),
        (HOLDS + LIFTED.replace("0.25", "-0.25"), "outcome 2: the `probability` of `lifted` is -0.25"),
        (HOLDS.replace("0.75", "1.75") + LIFTED, "line 6, outcome 1: the `probability` of `it holds` is 1.75"),
        (HOLDS + LIFTED.replace("0.25", ".nan"), "the `probability` of `lifted` is nan"),
        (HOLDS + LIFTED.replace("0.25", "25%"), "line 7, outcome 2, `probability`: found `'25%'`, expected a number"),
        (HOLDS + LIFTED.replace("0.25", "true"), "outcome 2, `probability`: found `True`, expected a number"),
        (HOLDS + LIFTED.replace("lifted", "it holds"), "`outcomes`: two outcomes have the name `it holds`. Give each"),
        (HOLDS + LIFTED.replace("lifted", "expected"), "outcome 2: an outcome cannot be named `expected`"),
        (HOLDS + LIFTED.replace("lifted", "Expected"), "outcome 2: an outcome cannot be named `Expected`"),
        (HOLDS + LIFTED.replace("lifted", "''"), "outcome 2, `name`: found `''`, expected a few words"),
        (HOLDS + LIFTED.replace("lifted", "' '"), "outcome 2: the name of an outcome is ' '; expected a few words"),
        (HOLDS + LIFTED.replace("probability", "probabilty"), "outcome 2, `probabilty`: There is no key"),
        (HOLDS.replace(", measures: []", "") + LIFTED, "line 6, outcome 1: the key `measures` is missing"),
        (HOLDS + LIFTED.replace("by: USA", "by: UAS"), "line 7, outcome 2, measure 1: There is no country `UAS`. Did you"),
        (HOLDS + LIFTED.replace("by: USA", "bye: USA"), "outcome 2, measure 1, `lift.bye`: There is no key `bye`"),
        (HOLDS + LIFTED.replace("by: USA", "by: XRW"), "line 7, outcome 2, measure 1: this lifting ends nothing"),
    ],
)  # fmt: skip
def test_bad_outcomes_are_refused_with_line_and_mend(tiny, tmp_path, outcomes: str, message: str):
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}outcomes:\n{outcomes}", "utf-8")
    with pytest.raises(dt.InputError) as refusal:
        dt.simulate(tiny, path)
    assert str(refusal.value).startswith("`mine.yaml`, line ")
    assert message in str(refusal.value)


def test_bad_outcomes_are_refused_in_python_too():
    with pytest.raises(dt.InputError, match="measure 1 of the outcome `a` is 'lift'; expected"):
        dt.PossibleOutcome("a", 0.5, ["lift"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(dt.InputError, match=r"the `probability` of `a` is '0.5'"):
        dt.PossibleOutcome("a", "0.5")  # pyright: ignore[reportArgumentType]
    with pytest.raises(dt.InputError, match="Scenario `s`: found 1 outcome, expected two or more"):
        dt.Scenario("s", outcomes=[dt.PossibleOutcome("a", 1.0)])
    with pytest.raises(dt.InputError, match="Scenario `s`: outcome 1 is 'a'; expected a `PossibleOutcome`"):
        dt.Scenario("s", outcomes="ab")  # pyright: ignore[reportArgumentType]


def test_a_scenario_with_outcomes_is_no_single_situation(tiny, tmp_path):
    scenario = tree(0.5, 0.5)
    with pytest.raises(dt.InputError, match="`tree` has 2 possible outcomes and is no single situation"):
        scenario.shock(tiny)
    with pytest.raises(dt.InputError, match="Results cannot be compared with it: the scenario `tree` has 2"):
        dt.simulate(tiny, "us-relief", scenario)
    with pytest.raises(
        dt.InputError, match="`base` of scenario `b`: the scenario `tree` has 2 possible outcomes"
    ):
        dt.Scenario("b", base=scenario)
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ntitle: A test\nbase: {NAME}\n", "utf-8")
    with pytest.raises(
        dt.InputError, match=f"`mine.yaml`, line 3, `base`: the scenario `{NAME}` has 3 possible"
    ):
        dt.Scenario.load(path)


# What ships -------------------------------------------------------------------------------------------------


def test_the_shipped_example_says_that_its_probabilities_are_an_illustration(tiny):
    scenario = dt.Scenario.load(NAME)
    assert "an illustration" in scenario.description
    assert "not an estimate" in scenario.description
    found = dt.simulate(tiny, scenario)
    assert isinstance(found, dt.Prospect)
    russia = {name: float(side.real_income.sel(country="RUS")) for name, side in found.outcomes.items()}
    assert abs(russia["reversed within the term"]) < SOLVED
    assert 0 < russia["it holds"] < russia["Congress follows"]
    for name, same in (("it holds", "us-executive-relief"), ("Congress follows", "us-relief")):
        alone = float(dt.simulate(tiny, same).real_income.sel(country="RUS"))
        assert russia[name] == pytest.approx(alone, abs=SOLVED)


def test_the_command_line_runs_shows_and_compares_it(tmp_path, monkeypatch, capsys):
    def detente(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["detente", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert (stop.value.code or 0, err) == (0, "")
        return out

    monkeypatch.chdir(tmp_path)
    assert "With probability 30 %, “reversed within the term”" in detente("show", NAME).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    printed = detente("run", NAME, "--world", "tiny", "--out", "risk")
    assert "expected over 3 possible outcomes" in printed
    assert printed.rstrip().endswith("report.html")
    assert (tmp_path / "risk" / "outcomes.csv").is_file()
    content = json.loads(detente("run", NAME, "--world", "tiny", "--json", "--cite"))
    assert [entry["probability"] for entry in content["outcomes"]] == [0.5, 0.3, 0.2]
    assert content["citations"]
    told = detente("diff", "us-executive-relief", NAME)
    assert "expected over the possible outcomes" in told
