"""Names, groups and the dictionary of variables."""

import csv
import json
import subprocess
import sys

import pytest
import yaml

from detente import labels
from detente.errors import InputError
from detente.world import World

COUNTRIES = [code for code, row in labels.countries().items() if row["iso_numeric"]]
PARTS = {part for parts in labels.sector_parts().values() for part in parts}
SECTORS = [
    code for code, row in labels.sectors().items() if row["group"] != "Aggregate" and code not in PARTS
]


def test_lists_are_those_of_the_embedded_world():
    world = World.load()
    assert world.countries == COUNTRIES
    assert world.sectors == SECTORS


def test_codes_and_names_are_distinct():
    for rows in (labels.countries(), labels.sectors()):
        names = [row["name"] for row in rows.values()]
        assert len(set(names)) == len(names)
    numeric = [labels.iso_numeric(code) for code in COUNTRIES]
    assert len(set(numeric)) == 80
    assert all(code is not None and len(code) == 3 and code.isdigit() for code in numeric)


def test_every_country_is_on_the_map_or_has_a_label_point():
    shapes = json.loads((labels.DATA / "world_map.json").read_text("utf-8"))["objects"]["countries"][
        "geometries"
    ]
    drawn = {shape.get("id") for shape in shapes}
    absent = {code for code in COUNTRIES if labels.iso_numeric(code) not in drawn}
    assert absent == {"HKG", "MLT", "SGP", "STP"}
    for code in COUNTRIES:
        point = labels.label_point(code)
        assert point is not None
        assert -180 <= point[0] <= 180
        assert -60 <= point[1] <= 75


def test_map_and_list_agree_on_who_has_which_number():
    shapes = json.loads((labels.DATA / "world_map.json").read_text("utf-8"))["objects"]["countries"][
        "geometries"
    ]
    names = {shape.get("id"): shape["properties"]["name"] for shape in shapes}
    differ = {
        "COD",
        "TUR",
        "USA",
    }  # spelt otherwise on the map: Dem. Rep. Congo, Turkey, United States of America
    found = {
        code
        for code in COUNTRIES
        if names.get(labels.iso_numeric(code)) not in (None, labels.country_name(code))
    }
    assert found == differ


def test_a_code_of_another_world_is_its_own_name():
    assert labels.country_name("ATL") == "ATL"
    assert labels.sector_name("x1") == "x1"
    assert labels.iso_numeric("ATL") is None
    assert labels.label_point("ATL") is None


@pytest.mark.parametrize(
    ("name", "size"), [("EU27", 27), ("G7", 7), ("EEA", 29), ("coalition", 38), ("west-33", 33)]
)
def test_country_groups_have_their_size(name, size):
    members = labels.country_groups()[name]
    assert len(members) == len(set(members)) == size
    assert set(members) <= set(COUNTRIES)


def test_coalition_bystanders_and_the_parties_are_the_whole_table():
    groups = labels.country_groups()
    parts = [*groups["coalition"], *groups["bystanders"], "RUS", "BLR", "UKR"]
    assert sorted(parts) == sorted(COUNTRIES)


def test_sector_groups_hold_sectors_and_goods_and_services_do_not_overlap():
    groups = labels.sector_groups()
    assert all(set(members) <= {*SECTORS, *PARTS} for members in groups.values())
    for whole, parts in labels.sector_parts().items():  # a part is where the whole is
        for name, members in groups.items():
            assert whole not in members or set(members) & set(parts), name
    assert not set(groups["goods"]) & set(groups["services"])
    assert set(SECTORS) - set(groups["goods"]) - set(groups["services"]) == {"D", "E"}


def test_every_group_is_described_in_one_line():
    for name in (*labels.country_groups(), *labels.sector_groups()):
        text = labels.describe_group(name.upper())
        assert text.endswith(".")
        assert "\n" not in text


def test_no_name_is_both_a_country_group_and_a_sector_group():
    assert not set(labels.country_groups()) & set(labels.sector_groups())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("RUS", ["RUS"]),
        ("rus, USA", ["RUS", "USA"]),
        (["USA", "RUS", "usa"], ["USA", "RUS"]),
        ("Germany", ["DEU"]),
        (["g7", "RUS"], ["CAN", "DEU", "FRA", "GBR", "ITA", "JPN", "USA", "RUS"]),
        ("all", COUNTRIES),
    ],
)
def test_resolve_countries(given, expected):
    assert labels.resolve_countries(given, COUNTRIES) == expected


def test_resolve_sectors_by_code_group_and_case():
    assert labels.resolve_sectors("Energy", SECTORS) == ["B05", "B06", "C19", "D"]
    assert labels.resolve_sectors(["c10t12", "oil-gas"], SECTORS) == ["C10T12", "B06"]


def test_groups_shrink_to_the_world_at_hand():
    assert labels.resolve_countries("BRICS", ["RUS", "CHN", "USA"]) == ["CHN", "RUS"]
    with pytest.raises(InputError, match="`EU27` has no member"):
        labels.resolve_countries("EU27", ["RUS", "USA"])


def test_tiny_world_codes_stand_for_their_groups():
    tiny = World.load("tiny")
    assert labels.resolve_countries("coalition", tiny.countries) == ["USA", "XCO"]
    assert labels.resolve_sectors("energy", tiny.sectors) == ["ENE"]
    assert labels.resolve_sectors("goods", tiny.sectors) == ["ENE", "GDS"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("RUSS", "Did you mean `RUS`"),
        ("coaliton", "Did you mean `coalition`"),
        ("Irland", "Did you mean `Ireland`"),
        ("", "No country is named"),
        ([], "No country is named"),
        ([False], "put quotes"),
    ],
)
def test_wrong_country_names(given, message):
    with pytest.raises(InputError, match=message):
        labels.resolve_countries(given, COUNTRIES)


def test_a_code_that_exists_elsewhere_is_said_to_be_missing_here():
    with pytest.raises(InputError, match=r"`DEU` \(Germany\) in this world"):
        labels.resolve_countries("deu", ["RUS", "USA"])
    with pytest.raises(InputError, match="Did you mean `C19`"):
        labels.resolve_sectors("C91", ["B06", "C19"])


def test_the_dictionary_of_variables_is_complete_and_unique():
    rows = labels.variables()
    keys = [(row["group"], row["name"]) for row in rows]
    assert len(set(keys)) == len(keys)
    axes = {"country", "importer", "exporter", "sector", "input", "part", "use", "owner", "host", "year"}
    axes |= {"coalition", "member", "scenario", "sender", "direction", "nest"}
    for row in rows:
        assert row["meaning"], row
        assert row["unit"], row
        assert set(row["axes"].split()) <= axes, row
        assert None not in row.values(), row
    world = {row["name"]: row["axes"].split() for row in rows if row["group"] == "World"}
    data = World.load("tiny").data
    assert {name: list(array.dims) for name, array in data.items()} == {
        k: v for k, v in world.items() if k != "tariff"
    }


def test_elasticities_cover_both_worlds_in_every_set():
    lines = (labels.DATA / "elasticities.csv").read_text("utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [row["sector"] for row in rows] == labels.with_parts([*SECTORS, "ENE", "GDS", "SRV"])
    sets = [name for name in rows[0] if name not in ("sector", "source")]
    assert sets == ["caliendo-parro-2015", "uniform-4", "uniform-5"]
    about = yaml.safe_load((labels.DATA / "elasticities.yaml").read_text("utf-8"))
    assert list(about) == sets
    assert all({"title", "citation", "doubts"} == set(entry) for entry in about.values())
    for row in rows:
        assert 1 < float(row["caliendo-parro-2015"]) < 20
        assert (row["uniform-4"], row["uniform-5"]) == ("4", "5")
    published = {row["sector"]: row["caliendo-parro-2015"] for row in rows}
    # Caliendo & Parro (2015), Table 1, 99 % sample; petroleum capped; the aggregate for vehicles; services
    # by convention
    known = {
        "A01": "9.11",
        "B06": "13.53",
        "C17_18": "16.52",
        "C28": "1.45",
        "C19": "9.99",
        "C29": "8.22",
        "K": "5",
    }
    assert {code: published[code] for code in known} == known


def test_names_load_without_the_heavy_packages():
    heavy = "{'pandas', 'xarray', 'jax'}"
    code = f"import sys, detente.labels as l; l.country_groups(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
