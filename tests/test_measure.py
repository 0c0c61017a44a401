"""Measures: the sentences they print, the flows they mean, and the sizes they refuse."""

import re

import numpy as np
import pytest

from detente import labels
from detente.errors import InputError
from detente.measure import Lifting, Measure

COUNTRIES = ["RUS", "USA", "DEU", "FRA", "CHN"]
SECTORS = ["B06", "C19", "K"]
IMPORTER, EXPORTER, SECTOR = np.ogrid[:5, :5, :3]


def test_an_import_measure_reads_as_one_sentence_with_what_is_known_of_its_size():
    measure = Measure(
        "coalition", "RUS", "cut", 0.9, "imports", "goods", 0.41, range=(0.85, 0.9), basis="estimate"
    )
    assert str(measure) == (
        "The coalition cuts its imports of goods from Russia by 90 % "
        "(range 85 to 90 %; 41 % is already in the data year; estimate)."
    )


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        (
            Measure("USA", "RUS", "cut", 0.81, "exports"),
            "The United States cuts its exports to Russia by 81 %.",
        ),
        (Measure("USA", "RUS", "cut", 0.9999), "The United States cuts its trade with Russia by 99.99 %."),
        (Measure("coalition", "RUS", "ban"), "The coalition bans all trade with Russia."),
        (
            Measure("EU27", "RUS", "ban", direction="imports", sectors="oil"),
            "The EU27 bans imports of crude and refined oil from Russia.",
        ),
        (
            Measure(["USA", "gbr", "Japan"], "CHN", "tariff", 0.35),
            "The United States, the United Kingdom and Japan add 35 percentage points to their duty on "
            "imports from China.",
        ),
        (
            Measure("USA", "NLD", "tariff", 0.01, sectors="C24A"),
            "The United States adds 1 percentage point to its duty on imports of iron and steel from the "
            "Netherlands.",
        ),
        (
            Measure("USA", "CHN", "tariff", -0.05, sectors=["steel", "C26"], range=(-0.06, -0.04)),
            "The United States takes 5 percentage points off its duty on imports of steel and electronics "
            "from China (range −6 to −4 points).",
        ),
        (
            Measure("RUS", ["EU27", "USA"], "export-tax", 0.1, sectors="oil-gas"),
            "Russia adds 10 percentage points to its tax on exports of crude oil and gas to the EU27 and the "
            "United States.",
        ),
        (
            Measure("G7", "RUS, BLR", "cost", 0.5, sectors="high-tech"),
            "The G7 raises the cost of its trade in high-tech goods with Russia and Belarus by 50 %.",
        ),
        (
            Measure("USA", "RUS", "cost", -0.2, "exports"),
            "The United States lowers the cost of its exports to Russia by 20 %.",
        ),
        (Measure("all", "RUS", "ban"), "All other countries ban all trade with Russia."),
        (
            Measure("RUS", "bystanders", "ban", direction="exports", sectors="B06, C19, D"),
            "Russia bans exports of crude oil and gas, refined petroleum, and electricity and gas supply to "
            "the bystanders.",
        ),
        (
            Measure("DEU,FRA,ITA,ESP,POL", "RUS", "ban", direction="exports", sectors="J62_63"),
            "Germany, France, Italy, Spain and Poland ban exports of IT services to Russia.",
        ),
        (
            Measure("DEU,FRA,ITA,ESP,POL,NLD", "RUS", "ban", sectors="services"),
            "Germany, France, Italy, Spain and 2 others ban trade in services with Russia.",
        ),
        (
            Measure("Utopia", "Borduria", "cut", 0.5, sectors="X1"),
            "Utopia cuts its trade in X1 with Borduria by 50 %.",
        ),
    ],
)
def test_a_measure_prints_as_a_sentence(measure: Measure, sentence: str):
    assert str(measure) == sentence


@pytest.mark.parametrize(
    ("lifting", "sentence"),
    [
        (Lifting("USA", "RUS"), "The United States lifts all its measures on Russia."),
        (Lifting("USA"), "The United States lifts all its measures."),
        (
            Lifting(["DEU", "FRA"], "RUS", direction="imports", sectors="oil"),
            "Germany and France lift all their measures on imports of crude and refined oil from Russia.",
        ),
        (
            Lifting("bystanders", "RUS", sectors="goods"),
            "The bystanders lift all their measures on trade in goods with Russia.",
        ),
        (Lifting("EU27", "RUS", instrument="ban"), "The EU27 lifts all its bans on trade with Russia."),
        (Lifting("USA", instrument="tariff"), "The United States lifts all its tariffs on imports."),
        (
            Lifting("USA", id="coalition-imports"),
            "The United States lifts its part of the measure `coalition-imports`.",
        ),
    ],
)
def test_a_lifting_prints_as_a_sentence(lifting: Lifting, sentence: str):
    assert str(lifting) == sentence


@pytest.mark.parametrize("group", labels.country_groups())
def test_every_country_group_reads_well_as_sender_and_target(group: str):
    assert re.fullmatch(r"The [\w +-]+ bans? all trade with Ukraine\.", str(Measure(group, "UKR", "ban")))
    assert re.fullmatch(r"Ukraine bans all trade with the [\w +-]+\.", str(Measure("UKR", group, "ban")))


@pytest.mark.parametrize("group", [*labels.sector_groups(), *labels.sectors()])
def test_no_sector_prints_as_a_code_or_with_a_capital_in_the_middle(group: str):
    goods = str(Measure("USA", "RUS", "ban", sectors=group)).removeprefix("The United States bans trade in ")
    goods = goods.removesuffix(" with Russia.")
    assert goods
    assert goods[0].islower() or goods.startswith(("IT ", "LNG"))
    assert "-" not in goods.replace("non-", "").replace("high-tech", "")
    assert not any(character.isdigit() for character in goods)


def test_directions_are_those_of_the_sender():
    imports = Measure("USA", "RUS", "cut", 0.5, "imports", "B06").cells(COUNTRIES, SECTORS)
    exports = Measure("USA", "RUS", "cut", 0.5, "exports", "B06").cells(COUNTRIES, SECTORS)
    np.testing.assert_array_equal(imports, (IMPORTER == 1) & (EXPORTER == 0) & (SECTOR == 0))
    np.testing.assert_array_equal(exports, (IMPORTER == 0) & (EXPORTER == 1) & (SECTOR == 0))
    both = Measure("USA", "RUS", "cut", 0.5, sectors="B06").cells(COUNTRIES, SECTORS)
    np.testing.assert_array_equal(both, imports | exports)


def test_a_duty_is_levied_at_the_senders_own_border_unless_said_wrongly():
    tariff = Measure("USA", "CHN", "tariff", 0.1)
    tax = Measure("RUS", "CHN", "export-tax", 0.1)
    np.testing.assert_array_equal(
        tariff.cells(COUNTRIES, SECTORS), (IMPORTER == 1) & (EXPORTER == 4) & (SECTOR >= 0)
    )
    np.testing.assert_array_equal(
        tax.cells(COUNTRIES, SECTORS), (IMPORTER == 4) & (EXPORTER == 0) & (SECTOR >= 0)
    )
    with pytest.raises(InputError, match="own imports"):
        Measure("USA", "CHN", "tariff", 0.1, "exports")
    with pytest.raises(InputError, match="own exports"):
        Measure("USA", "CHN", "export-tax", 0.1, "both")


def test_groups_are_cut_down_to_the_countries_of_the_world_and_repeats_count_once():
    by = ["EU27", "deu", "Germany", "EEA"]  # EU27 and EEA have members that this world lacks
    mask = Measure(by, "RUS", "ban", direction="imports").cells(COUNTRIES, SECTORS)
    np.testing.assert_array_equal(mask, ((IMPORTER == 2) | (IMPORTER == 3)) & (EXPORTER == 0) & (SECTOR >= 0))


def test_a_group_without_any_member_in_the_world_is_refused():
    with pytest.raises(InputError, match="`EU27` has no member"):
        Measure("EU27", "RUS", "ban").cells(["RUS", "USA"], SECTORS)


def test_all_means_everyone_on_the_other_side():
    outward = Measure("RUS", "all", "ban", direction="imports").cells(COUNTRIES, SECTORS)
    inward = Measure("all", "RUS", "ban", direction="exports").cells(COUNTRIES, SECTORS)
    np.testing.assert_array_equal(outward, (IMPORTER == 0) & (EXPORTER != 0) & (SECTOR >= 0))
    np.testing.assert_array_equal(inward, outward)
    with pytest.raises(InputError, match="nobody is left"):
        Measure("all", "all", "ban").cells(COUNTRIES, SECTORS)


def test_a_sender_that_is_its_own_target_is_refused_by_name():
    with pytest.raises(InputError, match=r"Germany is both sender and target.*take `DEU` out"):
        Measure("EU27", ["RUS", "DEU"], "ban").cells(COUNTRIES, SECTORS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"instrument": "cut"}, "needs a `size`"),
        ({"instrument": "cut", "size": 1.0}, "below 1.*`instrument: ban`"),
        ({"instrument": "cut", "size": -0.1}, "at least 0"),
        ({"instrument": "cut", "size": 90}, "0.9 for 90 %"),
        ({"instrument": "cut", "size": float("nan")}, "`size` of a cut is nan; expected a number"),
        ({"instrument": "cut", "size": "0.9"}, "expected a number"),
        ({"instrument": "cut", "size": True}, "expected a number"),
        ({"instrument": "cut", "size": 0.5, "in_data": 1.0}, "`in_data` of a cut is 1"),
        ({"instrument": "cut", "size": 0.5, "in_data": float("nan")}, "`in_data` of a cut is nan"),
        ({"instrument": "cut", "size": 0.5, "range": (0.6, 0.4)}, "the smaller one first"),
        ({"instrument": "cut", "size": 0.5, "range": (0.6, 1.2)}, "`range` of a cut is 1.2"),
        ({"instrument": "cut", "size": 0.5, "range": 0.5}, "two numbers"),
        ({"instrument": "ban", "size": 0.5}, "no `size`"),
        ({"instrument": "tariff", "size": 0.5, "in_data": 0.1}, "cuts only"),
        ({"instrument": "tariff", "size": -1.0}, "above −1"),
        ({"instrument": "cost", "size": float("inf")}, "expected a number"),
        ({"instrument": "cuts", "size": 0.5}, "no instrument `cuts`. Did you mean `cut`"),
        ({"instrument": "ban", "direction": "import"}, "no direction `import`. Did you mean `imports`"),
        ({"instrument": "ban", "sectors": 5}, "`sectors` is 5; expected a code"),
        ({"instrument": "ban", "sectors": [False]}, "`sectors` is .False."),
    ],
)
def test_a_measure_that_makes_no_sense_is_refused_with_the_mend(keys: dict, message: str):
    with pytest.raises(InputError, match=message):
        Measure("USA", "RUS", **keys)


def test_a_lifting_reaches_only_what_its_keys_name():
    measure = Measure(["USA", "DEU"], ["RUS", "CHN"], "cut", 0.5, id="old")
    whole = measure.cells(COUNTRIES, SECTORS)

    def reach(**keys) -> np.ndarray:
        return Lifting(**{"by": "USA", **keys}).cells(measure, COUNTRIES, SECTORS)

    np.testing.assert_array_equal(reach(), whole & ((IMPORTER == 1) | (EXPORTER == 1)))
    np.testing.assert_array_equal(
        reach(on="RUS"), whole & ((IMPORTER == 1) & (EXPORTER == 0) | (IMPORTER == 0) & (EXPORTER == 1))
    )
    np.testing.assert_array_equal(reach(direction="exports"), whole & (EXPORTER == 1))
    np.testing.assert_array_equal(
        reach(sectors="K"), whole & ((IMPORTER == 1) | (EXPORTER == 1)) & (SECTOR == 2)
    )
    np.testing.assert_array_equal(reach(id="old", instrument="cut"), reach())
    assert not reach(id="new").any()
    assert not reach(instrument="ban").any()
    assert not reach(by="FRA").any()


def test_a_target_cannot_lift_what_others_do_to_it():
    measure = Measure("RUS", "USA", "ban")
    assert not Lifting("USA", "RUS").cells(measure, COUNTRIES, SECTORS).any()
    assert (
        Lifting("RUS", "USA").cells(measure, COUNTRIES, SECTORS).sum() == 6
    )  # both directions, three sectors


def test_a_measure_on_all_others_can_be_lifted():
    measure = Measure("RUS", "all", "ban", direction="exports")
    lifted = Lifting("RUS", "all").cells(measure, COUNTRIES, SECTORS)
    np.testing.assert_array_equal(lifted, measure.cells(COUNTRIES, SECTORS))


def test_a_lifting_with_a_misspelt_key_value_is_refused():
    with pytest.raises(InputError, match="no instrument `bann`"):
        Lifting("USA", instrument="bann")
    with pytest.raises(InputError, match="no direction"):
        Lifting("USA", direction="out")
    with pytest.raises(InputError, match="no country `USB`"):
        Lifting("USB").cells(Measure("USA", "RUS", "ban"), COUNTRIES, SECTORS)
