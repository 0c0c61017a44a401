"""Uncertainty: ranges, draws from them, what a draw makes of an economy and a scenario, bands, and what drives a result."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest
import yaml
from scipy import stats

import detente as dt
from detente import labels
from detente.calibration import calibrate, read_elasticities
from detente.draws import LATIN, METHODS, SALTELLI, SOBOL, bands, draw, ranking
from detente.economy import Economy
from detente.errors import InputError
from detente.horizon import Horizon, shipped
from detente.measure import Measure
from detente.quantity import Setting
from detente.ranges import CUTS, HORIZON_SCALE, MIX, SCALE, Range, Ranges
from detente.regime import Regime
from detente.scenario import Scenario
from detente.sizes import between, placed, position, sentence
from detente.uncertainty import applied, behaving

ROUNDING = 1e-12  # a few operations on doubles
PERCENTILE = (
    5e-3  # of a range: 4096 points of a Latin hypercube have the percentiles of their distribution to 1/4096
)
FIRST = 0.02  # of variance: what 2^12 base points leave of error in a first-order index
TOTAL = 0.02
POINTS = 2**12


@pytest.fixture(scope="module")
def economy() -> Economy:
    return calibrate(dt.World.load("tiny"))


def own(
    name: str = "a", distribution: str = "uniform", low: float = 0.0, central: float = 0.5, high: float = 1.0
):
    return Range(name, "a", "any", distribution, low, central, high)


def cube(*rows: Range) -> Ranges:
    """Ranges of parameters of a function, not of a model."""
    names = tuple(row.name for row in rows)
    return Ranges(dict(zip(names, rows, strict=True)), names, Horizon.load("long"), ("a", "b"))


# Sizes at a place in their range ----------------------------------------------------------------------------


def test_a_position_is_a_word_or_a_number_and_linear_between():
    at = {
        0: 0.2,
        0.25: 0.35,
        0.5: 0.5,
        0.75: 0.55,
        1: 0.6,
        "low": 0.2,
        "central": 0.5,
        "high": 0.6,
        "0.75": 0.55,
    }
    for cuts, size in at.items():
        assert placed(0.5, (0.2, 0.6), cuts) == pytest.approx(size, rel=ROUNDING)
    assert [position(cuts) for cuts in (0, 0.5, 1.0, "0.25")] == ["low", "central", "high", 0.25]
    assert placed(0.5, None, 0.3) == 0.5
    assert placed(None, None, 0.3) is None
    low, high = np.array([0.0, 1.0, 0.3]), np.array([1.0, 1.0, 0.9])
    np.testing.assert_allclose(
        between(low, np.array([0.5, 1.0, 0.4]), high, 0.75), [0.75, 1, 0.65], rtol=ROUNDING
    )
    assert sentence(0.5) == ""
    assert "taken at 0.3 of it" in sentence(0.3)


@pytest.mark.parametrize("cuts", [-0.1, 1.1, float("nan"), True, None, "1.2"])
def test_no_other_position(cuts):
    with pytest.raises(InputError, match="position of sizes"):
        position(cuts)


def test_a_scenario_and_the_regime_take_a_number(economy: Economy):
    measure = Measure("USA", "RUS", "cut", 0.5, "imports", "ENE", range=(0.2, 0.6))
    usa, russia = (economy.countries.index(code) for code in ("USA", "RUS"))
    weight = Scenario("s", measures=[measure], cuts=0.25).shock(economy).weight_change
    assert weight is not None
    assert weight[usa, russia, economy.sectors.index("ENE")] == pytest.approx(0.65, rel=ROUNDING)
    assert Scenario("s", measures=[measure], cuts=1).cuts == "high"
    assert Scenario("s", measures=[measure], cuts="0.25").cuts == 0.25  # as the command line gives it
    assert str(Setting("uniform-4", "fixed", "law", 0.3)).endswith("sizes at 0.3 of their ranges")
    with pytest.raises(InputError, match="expected low, central, high"):
        Scenario("s", cuts=2.0)


@pytest.mark.parametrize("at", [0.3, 0.8])
def test_the_regime_at_a_number_is_that_of_its_readings_there(at: float, economy: Economy):
    from detente.overlap import Grid

    regime = Regime.load()
    found = regime.at("2025-02-17", economy.countries, economy.sectors, sizes=at).grid
    wanted = Grid(regime.catalogue, economy.countries, economy.sectors, 2022, at)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.size, wanted.size, rtol=ROUNDING)
    np.testing.assert_allclose(found.in_data, wanted.in_data, rtol=ROUNDING)
    assert not any(isinstance(key[-1], float) for key in regime._grids)  # which draws would fill


# Ranges -----------------------------------------------------------------------------------------------------


def test_the_page_shows_the_ranges_of_the_data():
    page = (Path(__file__).parents[1] / "docs" / "uncertainty.md").read_text("utf-8")
    section = page.split("## The ranges\n")[1].split("\n## ")[0]
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    content = yaml.safe_load((labels.DATA / "uncertainty.yaml").read_text("utf-8"))["parameters"]
    assert shown == {
        name: f"{row['distribution']} | {row['low']:g} | {row['central']:g} | {row['high']:g} | {row['verification']}"
        for name, row in content.items()
    }


def test_ranges_of_behaviour_are_those_of_the_horizon():
    for name, entry in shipped().items():
        rows = Ranges.load(name).rows
        for key, value in entry["values"].items():
            row = rows.get({SCALE: HORIZON_SCALE}.get(key, key))
            low, high = value["range"]
            assert (row is None) == (low == high), key
            if row is not None:
                assert (row.low, row.central, row.high, row.verification) == (
                    low,
                    value["value"],
                    high,
                    value["status"],
                )
    assert Ranges.load("long").drawn == (SCALE, MIX, CUTS)
    assert {HORIZON_SCALE, "mobility", "inputs", "oil"} < set(Ranges.load("medium-run").drawn)


DISTRIBUTIONS = {  # SciPy's own, as witnesses
    "uniform": stats.uniform(0.5, 1.5),
    "loguniform": stats.loguniform(0.5, 2.0),
    "triangular": stats.triang(1 / 3, 0.5, 1.5),
    "logtriangular": stats.triang(0.5, np.log(0.5), np.log(4.0)),
    "normal": stats.truncnorm((0.5 - 1) / 0.375, (2 - 1) / 0.375, 1, 0.375),
}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_quantiles_are_those_of_the_distribution(kind: str):
    row, u = own("x", kind, 0.5, 1.0, 2.0), np.linspace(0, 1, 101)
    known = DISTRIBUTIONS[kind].ppf(u)
    np.testing.assert_allclose(
        row.quantile(u), np.exp(known) if kind == "logtriangular" else known, rtol=1e-9
    )
    assert own("x", "triangular", 1.0, 1.0, 1.4).quantile([0, 1]).tolist() == [1.0, 1.4]  # its peak at an end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"base": "shrot"}, "Did you mean `short`"),
        (
            {"parameters": {"inptus": {"distribution": "uniform", "low": 0, "high": 1}}},
            "Did you mean `inputs`",
        ),
        ({"parameters": {"inputs": {"distribution": "beta", "low": 0, "high": 1}}}, "distribution `beta`"),
        ({"parameters": {"inputs": {"distribution": "uniform", "low": 1, "high": 0}}}, "high above low"),
        ({"parameters": {"inputs": {"distribution": "uniform", "low": -1, "high": 1}}}, "at least 0"),
        (
            {"parameters": {"mobility": {"distribution": "uniform", "low": 0.5, "high": 2}}},
            "factors are stuck",
        ),
        ({"parameters": {SCALE: {"distribution": "uniform", "low": 0, "high": 2}}}, "a factor is above 0"),
        ({"parameters": {CUTS: {"distribution": "uniform", "low": 0, "high": 2}}}, "within 0 to 1"),
        (
            {"parameters": {"inputs": {"distribution": "loguniform", "low": 0, "high": 1}}},
            "in logarithms above 0",
        ),
        ({"parameters": {"inputs": {"distribution": "uniform", "low": 0}}}, "`high` is missing"),
        ({"drawn": ["inputs"]}, "one value and no range"),
        ({"drawn": [CUTS, CUTS, SCALE]}, "none twice"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(content: dict, message: str):
    with pytest.raises(InputError, match=message):
        Ranges.load(content)


def test_a_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: short\ndrawn: [inputs, cuts_position]\nparameters:\n"
        "  inputs: {distribution: loguniform, low: 0.01, high: 0.9, source: a paper, verification: sourced}\n",
        "utf-8",
    )
    mine = Ranges.load(path)
    assert mine.drawn == ("inputs", CUTS)
    assert mine.central() == {"inputs": 0.2, CUTS: 0.5}  # the horizon's, which lies within
    assert (mine.rows["inputs"].source, mine.rows["inputs"].verification) == ("a paper", "sourced")
    path.write_text("parameters:\n  inputs: {distribution: uniform, low: 2, high: 1}\n", "utf-8")
    with pytest.raises(InputError, match=r"`mine.yaml`, line 2, `parameters.inputs`"):
        Ranges.load(path)


def test_what_has_no_effect_here_is_left_out():
    short = Ranges.load("short")
    parts = [name for name in short.rows if name.startswith("scale_")]
    every = short.select([*short.drawn, *parts])
    assert every.idle(dt.World.load().sectors) == ("gas_mix",)
    assert every.idle(dt.World.load("energy").sectors) == ()
    assert every.idle(["ENE", "GDS", "SRV"]) == ("gas_mix", "scale_agriculture")
    assert "energy_mix" in every.idle(["GDS", "SRV"])
    assert "gas_mix" not in every.fitting(["ENE", "GDS", "SRV"]).drawn
    for name in (None, "energy"):
        sectors = dt.World.load(name).sectors
        assert sorted(code for codes in short.parts(sectors).values() for code in codes) == sorted(sectors)


# Draws ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_draws_follow_from_seed_number_and_method_and_stay_in_range(method: str):
    ranges = Ranges.load("medium")
    one, again, other = (draw(ranges, 10, seed, method) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.values, again.values)
    assert not np.array_equal(one.values, other.values)
    rows = {LATIN: 10, SOBOL: 16, SALTELLI: 16 * (len(ranges.drawn) + 2)}[method]
    assert one.values.shape == (rows, len(ranges.drawn)) == (len(one), len(one.names))
    assert bool(one.note) == (method != LATIN)
    assert draw(ranges, 16, 0, method).note == ""
    for k, name in enumerate(one.names):
        row = ranges.rows[name]
        assert row.low <= one.values[:, k].min() < one.values[:, k].max() <= row.high
    assert one.frame().loc[3].to_dict() == one[3]


def test_a_latin_hypercube_has_one_draw_in_every_part_of_every_range():
    values = draw(cube(own("a"), own("b")), 50).values
    for k in range(2):
        assert sorted((values[:, k] * 50).astype(int)) == list(range(50))


@pytest.mark.parametrize(
    ("n", "seed", "method"), [(0, 0, LATIN), (2.5, 0, LATIN), (4, -1, LATIN), (4, 0, "soboll")]
)
def test_no_other_draws(n, seed, method: str):
    with pytest.raises(InputError, match=r"whole number|Did you mean `sobol`"):
        draw(cube(own()), n, seed, method)


def test_without_salib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "SALib", None)
    with pytest.raises(InputError, match=r"detente\[sweep\]"):
        draw(cube(own()), 4, method=SALTELLI)
    assert len(draw(cube(own()), 4)) == 4


# Bands and rankings -----------------------------------------------------------------------------------------


def test_bands_are_the_percentiles_of_a_known_distribution():
    values = draw(
        cube(own("a", "normal", -4.0, 0.0, 4.0)), 4096
    ).values  # standard deviation 2, cut at 2 of them
    known = stats.truncnorm(-2, 2, 0, 2).ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    np.testing.assert_allclose(bands(values)[:, 0], known, atol=PERCENTILE * 8)
    assert bands(np.arange(101.0), (0, 10, 100)).tolist() == [0, 10, 100]
    assert bands(np.zeros((7, 2, 3)), (5, 95)).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("values", "levels", "message"),
    [
        ([1, np.nan, np.inf], (50,), "2 of 3 draws.*first draw 1"),
        ([1, 2], (50, 101), "0 to 100"),
        ([], (50,), "for each draw"),
    ],
)
def test_no_bands_of_what_is_no_number(values, levels, message: str):
    with pytest.raises(InputError, match=message):
        bands(values, levels)


def test_ishigami_has_the_indices_of_the_closed_form():
    """Ishigami and Homma (1990), a = 7, b = 0.1; variances as in Saltelli, Chan and Scott (2000)."""
    a, b, pi = 7.0, 0.1, np.pi
    made = draw(cube(*(own(name, "uniform", -pi, 0.0, pi) for name in "xyz")), POINTS, 1, SALTELLI)
    x, y, z = made.values.T
    found = ranking(made, np.sin(x) + a * np.sin(y) ** 2 + b * z**4 * np.sin(x))
    parts = np.array([(1 + b * pi**4 / 5) ** 2 / 2, a**2 / 8, 0.0])
    both = 8 * b**2 * pi**8 / 225  # x and z together
    whole = parts.sum() + both
    totals = np.array([parts[0] + both, parts[1], both])
    assert [driver.name for driver in found.drivers] == ["x", "y", "z"]
    for name, first, total in zip("xyz", parts / whole, totals / whole, strict=True):
        driver = found[name]
        assert abs(driver.first - first) < min(FIRST, max(driver.first_confidence, 1e-9))
        assert abs(driver.total - total) < min(TOTAL, driver.total_confidence)
    assert (found.points, found.left_out) == (POINTS, 0)


def test_a_sum_has_the_shares_of_its_variances():
    """Independent terms: S = S_T = variance ÷ whole variance, for whatever distributions."""
    rows = [
        own("a", "uniform", 0.0, 1.0, 2.0),
        own("b", "triangular", 0.0, 1.0, 4.0),
        own("c", "loguniform", 0.5, 1.0, 2.0),
    ]
    made = draw(cube(*rows), 1024, 2, SALTELLI)
    weights = np.array([1.0, 0.5, -2.0])
    known = [stats.uniform(0, 2), stats.triang(0.25, 0, 4), stats.loguniform(0.5, 2)]
    parts = weights**2 * [one.var() for one in known]
    found = ranking(made, made.values @ weights + 100)
    for name, share in zip("abc", parts / parts.sum(), strict=True):
        assert found[name].first == pytest.approx(share, abs=FIRST)
        assert found[name].total == pytest.approx(share, abs=TOTAL)
    again = ranking(made, made.values @ weights + 100)
    assert again == found  # resamples follow from the seed, be it 0 or not
    zero = draw(cube(*rows), 8, 0, SALTELLI)
    assert ranking(zero, zero.values.sum(1)) == ranking(zero, zero.values.sum(1))


def test_a_missing_value_leaves_its_base_point_out_and_is_told():
    made = draw(cube(own("a"), own("b")), 256, 0, SALTELLI)
    values = made.values @ [1.0, 2.0]
    values[[5, 6, 40]] = np.nan  # draws 4 to 7 and 40 to 43 are two base points
    found = ranking(made, values)
    assert (found.points, found.left_out) == (254, 2)
    assert found["b"].first == pytest.approx(0.8, abs=0.05)
    with pytest.raises(InputError, match="There is no driver `c`"):
        _ = found["c"]


@pytest.mark.parametrize(
    ("method", "values", "message"),
    [
        (LATIN, np.zeros(8), "needs draws by the method `saltelli`"),
        (SALTELLI, np.zeros(8), "one for each draw"),
        (SALTELLI, np.zeros(24), "nothing drives it"),
        (SALTELLI, np.full(24, np.inf), "is infinite"),
        (SALTELLI, np.full(24, np.nan), "0 of 8 base points"),
    ],
)
def test_no_ranking_of_what_has_none(method: str, values: np.ndarray, message: str):
    with pytest.raises(InputError, match=message):
        ranking(draw(cube(own()), 8, 0, method), values)


# What a draw means ------------------------------------------------------------------------------------------


def test_a_draw_becomes_an_economy_and_a_scenario(economy: Economy):
    ranges = Ranges.load("short").fitting(economy.sectors)
    one = draw(ranges, 4, 7)[2]
    made, scenario = applied(one, economy, Scenario.load("us-relief"), ranges)
    assert scenario.cuts == one[CUTS]
    assert scenario.shock(made).weight_change is not None
    first, last = (read_elasticities(name, economy.sectors)[2] for name in ranges.elasticity_sets)
    theta = first ** (1 - one[MIX]) * last ** one[MIX] * one[SCALE] * one[HORIZON_SCALE]
    np.testing.assert_allclose(np.asarray(made.trade_elasticity), theta, rtol=ROUNDING)
    assert made.substitution is not None
    assert float(made.substitution.inputs) == pytest.approx(one["inputs"], rel=ROUNDING)
    assert float(np.asarray(made.factor_mobility)) == pytest.approx(one["mobility"], rel=ROUNDING)
    assert made.provenance["draw"] == one
    assert "caliendo-parro-2015 to uniform-4" in made.provenance["elasticities"]["name"]
    json.dumps(made.provenance)
    for name in ("trade_share", "input_share", "income", "output"):
        np.testing.assert_array_equal(getattr(made, name), getattr(economy, name))
    assert "draw" not in economy.provenance


def test_the_central_draw_is_the_horizon_itself(economy: Economy):
    for name in ("long", "medium", "short"):
        ranges = Ranges.load(name).fitting(economy.sectors)
        made, scenario = applied(ranges.central(), economy, Scenario.load("us-relief"), ranges)
        known = calibrate(dt.World.load("tiny"), horizon=name)
        np.testing.assert_allclose(
            np.asarray(made.trade_elasticity), np.asarray(known.trade_elasticity), rtol=ROUNDING
        )
        assert eqx.tree_equal(made.substitution, known.substitution)
        assert made.factor_mobility == known.factor_mobility
        assert scenario.cuts == "central"


def test_a_factor_on_a_part_of_the_economy_scales_that_part(economy: Economy):
    ranges = Ranges.load("long")
    made = behaving({"scale_services": 2.0, SCALE: 0.5}, economy, ranges)
    factor = np.asarray(made.trade_elasticity) / np.asarray(economy.trade_elasticity)
    assert dict(zip(economy.sectors, factor, strict=True)) == {"ENE": 0.5, "GDS": 0.5, "SRV": 1.0}
    with pytest.raises(InputError, match="`scale_agriculture` has no effect"):
        behaving({"scale_agriculture": 2.0}, economy, ranges)


def test_what_a_draw_cannot_be_applied_to_is_refused(economy: Economy):
    ranges = Ranges.load("short")
    with pytest.raises(InputError, match="Did you mean `inputs`"):
        behaving({"inptus": 0.1}, economy, ranges)
    with pytest.raises(InputError, match="`gas_mix` has no effect"):
        behaving({"gas_mix": 2.0}, economy, ranges)
    with pytest.raises(InputError, match="Calibrate it at `long`"):
        behaving({SCALE: 1.0}, behaving({SCALE: 1.0}, economy, ranges), ranges)
    scenario = Scenario.load("us-relief")
    assert applied({SCALE: 1.0}, economy, scenario, ranges)[1] is scenario
    assert dataclasses.replace(scenario, cuts=0.3) != scenario
