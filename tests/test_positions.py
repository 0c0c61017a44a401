"""The file of positions, shares, finance and persistence: complete, consistent, and laid under a user's own."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from detente import labels
from detente.errors import InputError
from detente.positions import Positions

REPORTED = 1.0  # published totals and parts are rounded, some parts to a billion
FILE = labels.DATA / "capital_2022.yaml"


@pytest.fixture(scope="module")
def shipped() -> Positions:
    return Positions.load()


def test_every_figure_lies_in_its_range_and_cites(shipped: Positions):
    rows = [*shipped.stocks.values(), *shipped.figures.values()]
    assert len(rows) > 80
    for row in rows:
        assert 0 <= row.low <= row.value <= row.high
        assert row.unit
        assert row.source
        own = row.source.startswith("Assumption")
        assert row.verification in ({"unverified"} if own else {"verified", "sourced", "unverified"})
    assert {name for name, _, _ in shipped.figures} == set(shipped.names)


def test_every_source_is_used():
    text = FILE.read_text("utf-8")
    content = yaml.safe_load(text)
    used = {row["source"] for row in content["positions"] + content["figures"]}
    notes = " ".join(row.get("note", "") for row in content["positions"] + content["figures"])
    named = {word for word in content["sources"] if re.search(rf"\b{re.escape(word)}\b", notes)}
    assert set(content["sources"]) == used | named


def test_parts_add_up_to_the_published_totals(shipped: Positions):
    """RIA Novosti's count of national statistics: the EU 223.3, with the others 288 billion USD."""
    others = [
        shipped.stocks[code, "RUS", "immediate"].value for code in "GBR USA JPN CAN CHE NOR AUS".split()
    ]
    assert 223.3 + sum(others) == pytest.approx(288, abs=REPORTED)
    members = [shipped.stocks[code, "RUS", "immediate"].value for code in "CYP NLD DEU FRA ITA".split()]
    assert 0.8 * 223.3 < sum(members) < 223.3
    held = shipped.by_country("frozen_reserves", sorted(labels.countries()), missing=0.0)
    assert held.sum() == pytest.approx(shipped.figure("frozen_total").value, rel=0.1)
    members = shipped.by_country("frozen_reserves", ["BEL", "FRA", "LUX"]).sum()
    assert members <= shipped.figure("frozen_eu").value <= shipped.figure("frozen_allied").value


def test_the_exit_rule_leaves_five_percent(shipped: Positions):
    """ "Here's your 5 %, leave the rest" (Linklaters on the rule of October 2024)."""
    kept = [shipped.proceeds(day) for day in ("2022-12-31", "2023-12-31", "2024-10-15")]
    np.testing.assert_allclose(kept, [0.45, 0.35, 0.05])
    assert shipped.proceeds() == kept[-1]
    with pytest.raises(InputError, match="on 2022-01-01"):
        shipped.proceeds("2022-01-01")
    with pytest.raises(InputError, match="no day"):
        shipped.proceeds("last year")


def test_stocks_are_owner_by_host(shipped: Positions):
    made = shipped.stock(["RUS", "USA", "IND"])
    assert made[1, 0] == 9.6
    assert made[0, 1] == 5
    assert np.isnan(made[2]).all()
    filled = shipped.stock(["RUS", "USA", "IND"], "high", missing=0.0)
    assert filled[2].sum() == 0
    assert filled[1, 0] == 14.4
    assert shipped.stock(["USA", "RUS"], basis="ultimate")[0, 1] == 39.1


def test_defaults_and_groups(shipped: Positions):
    shares = shipped.by_country("capital_share", ["RUS", "FRA"])
    np.testing.assert_array_equal(shares, [0.461, shipped.figure("capital_share").value])
    lives = shipped.by_sector("position_half_life", ["B06P", "C10T12", "C302T309", "C13T15", "D"])
    np.testing.assert_array_equal(
        lives, [1, 2, 4, 2.4, 2.4]
    )  # the smallest group that holds it, else the default
    np.testing.assert_allclose(shipped.persistence(["B06"]), 0.5)
    left = shipped.persistence(["D"])[0] ** shipped.figure("fade_years").value
    assert left == pytest.approx(0.1, abs=0.01)  # as its note says


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda p: p.stock(["RUS", "USB"]), "no country `USB`. Did you mean `USA`"),
        (lambda p: p.stock(["RUS", "RUS"]), "given twice"),
        (lambda p: p.stock(["RUS"], "middle"), "end of a range `middle`"),
        (lambda p: p.stock(["RUS"], basis="last"), "basis `last`"),
        (lambda p: p.figure("capital_shares"), "Did you mean `capital_share`"),
        (lambda p: p.figure("capital_share", "RUZ"), "Did you mean `RUS`"),
        (lambda p: p.by_country("frozen_reserves", ["ARG"]), "no default"),
        (lambda p: p.by_sector("capital_share", ["B06"]), "a figure of a country"),
        (lambda p: p.by_sector("position_half_life", ["B66"]), "no sector `B66`"),
    ],
)
def test_unknown_names_are_refused(shipped: Positions, call, told: str):
    with pytest.raises(InputError, match=re.escape(told)):
        call(shipped)


ROW = (
    "{owner: USA, host: RUS, basis: immediate, year: 2023, value: 7.7, range: [5, 9], "
    "source: bea, verification: unverified}"
)
MINE = f"""
sources: {{me: {{citation: "My own count"}}}}
positions:
  - {ROW}
  - {{owner: IND, host: RUS, basis: immediate, year: 2023, value: 8, range: [5, 16], source: me, verification: unverified}}
figures:
  - {{name: exit_discount, of: RUS, since: 2030-01-01, value: 0.1, range: [0, 0.2], source: me, verification: unverified}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_of_ones_own_replaces_and_extends(shipped: Positions, tmp_path: Path):
    mine = Positions.load(written(tmp_path, MINE))
    assert mine.stock(["USA", "RUS"])[0, 1] == 7.7
    assert mine.stock(["IND", "RUS"])[0, 1] == 8
    assert mine.stock(["GBR", "RUS"])[0, 1] == shipped.stock(["GBR", "RUS"])[0, 1]
    assert mine.figure("exit_discount", "RUS").source == "My own count"
    with pytest.raises(InputError, match="on 2025-01-01"):  # all days of a rule are replaced
        mine.figure("exit_discount", "RUS", "2025-01-01")
    names = "names: {capital_share: {unit: share, of: country, meaning: as shipped}}\n"
    alone = Positions.load(written(tmp_path, "base: none\n" + names + "positions:\n  - " + ROW))
    assert list(alone.stocks) == [("USA", "RUS", "immediate")]
    assert not alone.figures


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("owner: USA", "owner: USX"), "line 4: There is no country `USX`"),
        (("value: 7.7", "value: 70"), "line 4: expected low ≤ value ≤ high"),
        (("source: bea", "source: beaa"), "line 4: There is no source `beaa`. Did you mean `bea`"),
        (("basis: immediate, year: 2023, value: 7.7", "basis: direct, year: 2023, value: 7.7"), "line 4"),
        (("range: [5, 9]", "range: [5]"), "two numbers"),
        (
            ("verification: unverified}\n  - {owner: IND", "verified: yes}\n  - {owner: IND"),
            "no key `verified`",
        ),
        (("owner: IND, host: RUS", "owner: USA, host: RUS"), "stands further up already"),
        (("name: exit_discount", "name: exit_discounts"), "Did you mean `exit_discount`"),
        (("range: [0, 0.2]", "range: [0, 2]"), "a share lies between 0 and 1"),
        (("2030-01-01", "2030-13-01"), "no day"),
        (("2030-01-01", "soon"), "a day, as 2024-10-15"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], told: str):
    assert change[0] in MINE
    with pytest.raises(InputError, match=re.escape(told)):
        Positions.load(written(tmp_path, MINE.replace(*change, 1)))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        Positions.load(tmp_path / "none.yaml")
