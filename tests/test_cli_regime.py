"""`detente regime` and `detente diff`: what they print, and that it is what the catalogue and the engine say."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from detente import difference, locks, terminal, timeline
from detente.calibration import calibrate
from detente.catalogue import load_catalogue
from detente.cli import main
from detente.errors import InputError
from detente.flows import trade
from detente.law import IN_FORCE, Event
from detente.outcome import simulate
from detente.regime import Regime
from detente.scenario import Scenario
from detente.world import World

DAY = "2025-02-17"
WIDE = 120  # columns; wider output breaks in the window of most readers


@pytest.fixture
def detente(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command in an empty folder; returns exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["detente", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def world() -> World:
    return World.load()


# Lists ------------------------------------------------------------------------------------------------------


def test_list_has_every_measure_in_force_with_since_lock_and_mark(detente):
    code, out, err = detente("regime", "list", "--on", DAY)
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    chosen = load_catalogue().on(DAY)
    assert out.startswith(f"{len(chosen)} measures of 13 senders in force on 17 February 2025\n")
    assert len(re.findall(r"^[✓·?]  \d{4}-\d\d-\d\d ", out, re.MULTILINE)) == len(chosen) >= 80
    for measure in chosen:
        assert re.search(rf"(^|\s){measure.id}(\s|$)", out)
        assert measure.lift_rule.rule.replace("-", " ") in flat
    assert not re.search(r"[✓·?]  2026", out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["check"],
        ["check", "--kind", "unverified"],
        ["show", "eu-2022-879-oil"],
        ["show", "us-2017-caatsa"],
    ],
)
def test_output_fits_the_window(detente, arguments: list[str]):
    lines = detente("regime", *arguments)[1].splitlines()
    assert len(lines) > 5
    addresses = [line for line in lines if "http" in line]
    assert max(len(line) for line in lines if line not in addresses) <= WIDE


def test_list_says_from_when_a_measure_bites_not_when_it_was_adopted(detente):
    _, out, _ = detente("regime", "list", "--on", DAY, "--sender", "EU", "--package", "6", "--json")
    content = json.loads(out)
    oil = next(entry for entry in content["measures"] if entry["id"] == "eu-2022-879-oil")
    assert content["on"] == DAY
    assert oil["since"] == "2022-12-05"
    assert (oil["lift_rule"], oil["days"], oil["package"]) == ("unanimity-renewal", [1, 183], 6)
    assert oil["reading"]
    assert {entry["package"] for entry in content["measures"]} == {6}
    earlier = json.loads(detente("regime", "list", "--on", "2022-07-01", "--package", "6", "--json")[1])
    assert "eu-2022-879-oil" not in [entry["id"] for entry in earlier["measures"]]


def test_senders_are_codes_or_groups_with_commas_between(detente):
    _, out, _ = detente("regime", "list", "--on", DAY, "--sender", "EU, GBR", "--json")
    assert {entry["sender"] for entry in json.loads(out)["measures"]} == {"EU27", "GBR"}


def test_show_gives_history_scope_basis_lock_sources_and_meaning(detente):
    _, out, _ = detente("regime", "show", "eu-2022-879-oil")
    for part in (
        "2022-06-03  imposed",
        "seaborne crude oil",
        "Article 215 TFEU",
        "the Council, all 27 members",
    ):
        assert part in out
    assert "https://eur-lex.europa.eu" in out
    assert "cuts its imports of crude oil and gas from Russia by 55\N{NO-BREAK SPACE}%" in out
    without = detente("regime", "show", "us-2012-magnitsky")[1]
    assert "Designations and asset freezes" in without


def test_check_counts_what_the_catalogue_finds(detente):
    code, out, _ = detente("regime", "check", "--on", "2026-08-01")
    findings = load_catalogue().check("2026-08-01")
    assert code == 0
    for kind in ("unverified", "renewal", "waiver", "url", "stale"):
        count = sum(finding.kind == kind for finding in findings)
        assert re.search(rf"^{kind} +{count} ", out, re.MULTILINE)
        listed = detente("regime", "check", "--on", "2026-08-01", "--kind", kind)[1]
        assert f"{count} finding" in listed or (count == 0 and "Nothing" in listed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--on", "2025-02-30"], "is not a date"),
        (["list", "--sender", "Amerika"], "no country `Amerika`"),
        (["list", "--on", "2001-01-01"], "No measure is in force on 2001-01-01"),
        (["list", "--package", "99"], "of package 99"),
        (["show", "eu-2022-879-oli"], "Did you mean `eu-2022-879-oil`"),
        (["timeline", "--out", "a.pdf"], ".svg or .png"),
        (["timeline", "--out", "a.svg", "--sender", "CHN"], "no measure of that sender"),
        (["check", "--kind", "unverifed"], "Did you mean `unverified`"),
    ],
)
def test_refusals_are_one_paragraph_with_the_mend(detente, tmp_path: Path, arguments: list[str], says: str):
    code, out, err = detente("regime", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_cells_wrap_and_no_line_ends_in_spaces():
    printed = terminal.table(("a", "b"), [("one two three", "1"), ("x\ny", "22")], (7, 3), (1,))
    assert printed.splitlines() == ["a          b", "─" * 12, "one two    1", "three", "x         22", "y"]


def test_text_wraps_under_its_own_beginning_and_keeps_numbers_whole():
    filled = terminal.fill("  · alpha beta 70 %\nsecond", "    ", 18)
    assert filled.splitlines() == ["  · alpha beta", "    70\N{NO-BREAK SPACE}%", "second"]


# Picture ----------------------------------------------------------------------------------------------------


def test_timeline_is_written_whole_and_named(detente, tmp_path: Path):
    code, out, _ = detente("regime", "timeline", "--out", "a/regime.svg")
    assert (code, out) == (0, f"Picture: {Path('a') / 'regime.svg'}\n")
    drawn = (tmp_path / "a" / "regime.svg").read_text("utf-8")
    assert all(part in drawn for part in ("European Union", "24 February 2022", "only a new statute"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["regime.svg"]
    assert detente("regime", "timeline", "--out", "one.png", "--sender", "USA")[0] == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_bars_are_the_days_in_force():
    measure = replace(
        load_catalogue()["eu-2022-879-oil"],
        history=(
            Event(date(2020, 1, 1), "imposed", "verified", applies=date(2020, 3, 1)),
            Event(date(2021, 1, 1), "suspended", "verified", until=date(2021, 1, 31)),
            Event(date(2022, 1, 1), "lifted", "verified"),
        ),
    )
    assert timeline.spans(measure, date(2023, 1, 1)) == [
        (date(2020, 3, 1), date(2021, 1, 1), "in force"),
        (date(2021, 1, 1), date(2021, 2, 1), "suspended"),
        (date(2021, 2, 1), date(2022, 1, 1), "in force"),
    ]
    assert timeline.spans(measure, date(2020, 2, 1)) == []


def test_a_bar_covers_a_day_exactly_where_the_measure_is_in_force():
    day = date(2023, 7, 1)
    for measure in load_catalogue():
        spans = timeline.spans(measure, date(2026, 8, 1))
        within = any(start <= day < stop for start, stop, state in spans if state == IN_FORCE)
        assert within == (measure.state(day) == IN_FORCE), measure.id


# Differences ------------------------------------------------------------------------------------------------


def test_difference_is_in_the_words_and_the_flows_that_differ(world: World):
    economy = calibrate(world)
    cut = {
        "by": "USA",
        "on": "RUS",
        "instrument": "cut",
        "size": 0.5,
        "direction": "imports",
        "sectors": "C24A",
    }
    duty = {"by": "JPN", "on": "RUS", "instrument": "tariff", "size": 0.1}
    one = Scenario.load({"name": "one", "title": "One", "measures": [cut]})
    two = Scenario.load({"name": "two", "title": "Two", "measures": [cut, duty]})
    found = difference.compare(one, two, world, economy)
    assert found.only_first == []
    assert found.both == [str(one.measures[0])]
    assert len(found.only_second) == 1
    bought = float(trade(world).sel(exporter="RUS", importer="JPN").sum())
    assert float(found.tighter.sum()) == pytest.approx(
        bought, rel=1e-12
    )  # the same cells summed in another order
    assert float(found.freer.sum()) == 0
    assert -bought < float(found.direct.sum()) < 0
    assert found.partners(found.tighter) == [("RUS", "JPN", pytest.approx(bought, rel=1e-12))]


def test_difference_with_the_sides_exchanged_is_the_mirror_image(world: World):
    economy = calibrate(world)
    sides = Scenario.load("us-relief"), Scenario.load("embargo")
    there, back = (difference.compare(a, b, world, economy) for a, b in (sides, sides[::-1]))
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)
    np.testing.assert_array_equal(there.freer, back.tighter)
    np.testing.assert_array_equal(there.direct, -back.direct)


def test_diff_prints_words_and_billions(detente):
    code, out, err = detente("diff", "status-quo-2025", "us-relief")
    assert (code, err) == (0, "")
    assert "Only in us-relief:" in out
    assert re.search(r"freer under us-relief than under status-quo-2025: USD [\d.,]+ billion in 2022", out)
    assert "us-relief leaves no trade held tighter than status-quo-2025." in out
    assert max(map(len, out.splitlines())) <= WIDE
    same = detente("diff", "embargo", "embargo")[1]
    assert "The same measures in both." in same
    assert "billion" not in same


# Locks ------------------------------------------------------------------------------------------------------


def test_scenarios_and_their_sentences_fit_the_window(detente):
    for arguments in (["scenarios"], ["show", "us-relief"], ["diff", "baseline", "us-relief"]):
        code, out, _ = detente(*arguments)
        assert code == 0
        assert max(map(len, out.splitlines())) <= WIDE


@pytest.fixture(scope="module")
def found(world: World) -> locks.Locks:
    return locks.locks(Regime.load(), world, DAY, sets=["uniform-4"])


def test_locks_count_every_measure_once(found: locks.Locks):
    chosen = load_catalogue().on(DAY)
    authorities = [row for row in found.rows if row.rule]
    assert sum(row.measures for row in authorities) == len(chosen)
    assert {(row.sender, row.rule) for row in authorities} == {(m.sender, m.lift_rule.rule) for m in chosen}
    for row in authorities:
        own = [m for m in chosen if (m.sender, m.lift_rule.rule) == (row.sender, row.rule)]
        assert row.days == (min(m.lift_rule.days[0] for m in own), max(m.lift_rule.days[1] for m in own))
        assert row.reading == sum(bool(m.reading) for m in own)
        assert (row.trade > 0) == (row.reading > 0)


def test_an_authority_undoes_what_its_own_lifting_does(found: locks.Locks, world: World):
    """By another way through the program: two outcomes of scenarios, for the sum of US measures."""
    economy = calibrate(world, "uniform-4")
    base = {"name": "as-is", "title": "As is", "regime": {"as-of": DAY}}
    freed = [{"lift": {"by": "USA"}}], [{"lift": {"by": "all"}}]
    gains = [
        float(simulate(economy, base | {"measures": steps}, base).real_income.sel(country="RUS"))
        for steps in freed
    ]
    sums = next(row for row in found.rows if row.sender == "USA" and not row.rule)
    share = np.log1p(gains[0] / 100) / np.log1p(gains[1] / 100)
    assert sums.undone["uniform-4"] == pytest.approx(
        share, rel=1e-6
    )  # two solves to 1e-10 of a gain near 1e-3
    assert found.loss["uniform-4"] == pytest.approx(100 * (1 - 1 / (1 + gains[1] / 100)), rel=1e-6)


def test_what_one_authority_can_do_is_less_than_what_its_sender_can(found: locks.Locks):
    whole = next(row for row in found.rows if row.sender == "USA" and not row.rule)
    alone = next(row for row in found.rows if (row.sender, row.rule) == ("USA", "executive-alone"))
    assert 0 < alone.undone["uniform-4"] < whole.undone["uniform-4"] < 1
    assert 0 < alone.trade <= whole.trade


def test_locks_print(detente):
    code, out, err = detente("regime", "locks", "--on", DAY)
    assert (code, err) == (0, "")
    assert "all of these" in out
    assert "caliendo-parro-2015" in out
    assert "uniform-4" in out
    assert max(map(len, out.splitlines())) <= WIDE


def test_locks_refuse_a_day_without_measures():
    with pytest.raises(InputError, match="not a date"):
        locks.locks(Regime.load(), World.load(), "soon")
    with pytest.raises(InputError, match="No measure that touches trade is in force on 2013-01-01"):
        locks.locks(Regime.load(), World.load(), "2013-01-01")
