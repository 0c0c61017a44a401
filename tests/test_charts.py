"""Charts: their numbers, their digits, and that each becomes SVG and PNG without a warning."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detente import charts, digits, drawing, tables
from detente.errors import InputError
from tests.synthetic import SyntheticOutcome

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def outcome():
    return SyntheticOutcome()


def texts(spec):
    return json.dumps(spec, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0031, f"+0.0031{NBSP}%"),
        (-0.4138, f"−0.41{NBSP}%"),
        (0.0996, f"+0.10{NBSP}%"),
        (0.00065, f"+0.0006{NBSP}%"),
        (1234.5, f"+1,234{NBSP}%"),
        (0.0, f"≈{NBSP}0{NBSP}%"),
        (-1e-9, f"≈{NBSP}0{NBSP}%"),
        (math.nan, "n/a"),
    ],
)
def test_percentages_have_sensible_digits(value, text):
    assert digits.format_percent(value) == text


@given(st.floats(digits.NEGLIGIBLE, 1e9), st.integers(1, 4))
def test_no_printable_number_reads_as_zero_and_rounding_is_within_its_last_digit(value, count):
    text = digits.format_number(value, digits=count, sign=False)
    shown = float(text.replace(",", ""))
    last = 10.0 ** -len(text.partition(".")[2])
    assert shown > 0
    assert abs(shown - value) <= 0.5 * last * (1 + 1e-9)  # half a unit of the last digit, and float noise


@given(st.floats(1e-9, 1e9))
def test_a_nice_ceiling_is_just_above(value):
    assert value * (1 - 1e-9) <= digits.nice_ceiling(value) <= 2 * value * (1 + 1e-9)


def test_every_chart_is_a_valid_altair_chart_and_draws(outcome, tmp_path, recwarn):
    made = {
        "map": charts.real_income_map(outcome),
        "bars": charts.real_income_bars(outcome, ["RUS", "USA", "EU27"]),
        "partners": charts.trade_by_partner(outcome),
        "products": charts.trade_by_product(outcome),
    }
    for name, chart in made.items():
        svg = charts.save_chart(chart, tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert svg.startswith("<svg")
        assert "NaN" not in svg
        assert charts.save_chart(chart, tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "us-relief against status-quo-2025" in svg.replace("\n", " ")
    assert [str(warning.message) for warning in recwarn] == []
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".png"] * 4 + [".svg"] * 4


def test_html_charts_carry_their_scripts_and_other_endings_are_refused(outcome, tmp_path):
    chart = charts.real_income_bars(outcome, ["RUS"])
    page = charts.save_chart(chart, tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    saved = json.loads(charts.save_chart(chart, tmp_path / "chart.json").read_text(encoding="utf-8"))
    assert "vconcat" in saved
    with pytest.raises(InputError, match=r"\.gif"):
        charts.save_chart(chart, tmp_path / "chart.gif")
    assert not (tmp_path / "chart.gif").exists()


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(drawing.os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        drawing.write_atomically(tmp_path / "chart.svg", "<svg/>")
    assert list(tmp_path.iterdir()) == []


def test_the_map_holds_every_country_and_says_where_its_colours_end(outcome):
    spec = charts.real_income_map_spec(outcome)
    drawn, _ = charts._land()
    coloured, dots = spec["vconcat"][0]["layer"][1]["layer"]
    ids = {row["id"] for row in coloured["transform"][0]["from"]["data"]["values"]}
    assert ids <= drawn
    assert len(ids) + len(dots["data"]["values"]) == len(outcome.countries)
    domain = coloured["encoding"]["color"]["scale"]["domain"]
    assert domain[0] == -domain[1]
    assert "Russia +0.41" in charts.words_of(spec)["note"]
    assert "not in the data" in texts(spec)


@pytest.mark.parametrize(
    ("values", "limit", "beyond"),
    [
        ([0.0, 0.0], 1.0, False),
        ([], 1.0, False),
        ([-0.4, 0.4], 0.5, False),
        ([0.01] * 99 + [5.0], 0.01, True),
    ],
)
def test_map_limit_is_round_symmetric_and_robust(values, limit, beyond):
    found, over = charts.map_limit(values)
    assert found == pytest.approx(limit, rel=1e-12)  # float noise of 10**k only
    assert over is beyond


def test_bars_of_a_dwarfing_panel_get_their_own_scale_and_say_so(outcome):
    spec = charts.real_income_bars_spec(outcome, {"Target": ["RUS"], "Others": ["USA", "EU27"]})
    assert "Target (on a scale of its own)" in texts(spec)
    alike = charts.real_income_bars_spec(outcome, {"One": ["CHN"], "Two": ["USA"]})
    assert "scale of its own" not in texts(alike)


def test_the_union_is_one_party_and_unknown_parties_are_refused(outcome):
    row = tables.party_row(outcome, "EU27")
    assert row["name"] == "European Union (27)"
    assert row["value"] == pytest.approx(outcome.group("EU27")["real_income"], rel=1e-15)
    with pytest.raises(InputError, match="RUS"):
        tables.party_row(outcome, "RUZ")


@pytest.mark.parametrize("sectors", [(), ("B06", "C19")])
def test_partner_rows_add_up_to_all_trade(outcome, sectors):
    trade = outcome.trade()
    rows = tables.partner_rows(outcome, "RUS", sectors)
    total = trade["after"].sel(exporter="RUS").drop_sel(importer="RUS")
    for flow in sectors or ("exports",):
        expected = float((total.sel(sector=flow) if sectors else total).sum())
        assert sum(row[f"{flow}_after"] for row in rows) == pytest.approx(
            expected, rel=1e-12
        )  # order of adding
    shown = tables.largest(rows, 5, sectors or ("exports", "imports"))
    assert len(shown) == 6
    for key in rows[0].keys() - {"name"}:
        assert sum(row[key] for row in shown) == pytest.approx(sum(row[key] for row in rows), abs=1e-9)


def test_a_member_of_the_union_sees_the_others_one_by_one(outcome):
    names = {row["name"] for row in tables.partner_rows(outcome, "DEU")}
    assert "France" in names
    assert "EU27" not in names


def test_products_that_the_data_lack_are_named(outcome):
    with pytest.raises(InputError, match="X99"):
        charts.trade_by_product_spec(outcome, products={"X99": "Nothing"})
    with pytest.raises(InputError, match="RUS"):
        charts.trade_by_partner_spec(outcome, "RUZ")
