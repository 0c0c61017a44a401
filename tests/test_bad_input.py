"""Bad input, by command line and by Python: one paragraph, the place and the mend in it, nothing left behind."""

import contextlib
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detente import yaml_file
from detente.calibration import calibrate
from detente.cli import main
from detente.economy import Economy
from detente.errors import InputError
from detente.measure import Measure
from detente.outcome import simulate
from detente.scenario import SHIPPED, Scenario
from detente.shock import Shock
from detente.world import World

HEAD = "name: mine\ntitle: A test\n"
PAIR = "by: USA\n    on: RUS\n    "


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs `detente run` in an empty folder, checks that it was refused properly, returns the message."""

    def run(*arguments: str, code: int = 2, **files: str) -> str:
        monkeypatch.chdir(tmp_path)
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text, encoding="utf-8")
        before = sorted(tmp_path.rglob("*"))
        if "--out" not in arguments:
            arguments = (*arguments, "--out", "results/deep")
        if "--world" not in arguments:
            arguments = (*arguments, "--world", "tiny")
        monkeypatch.setattr("sys.argv", ["detente", "run", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert stop.value.code == code, err
        assert out == ""
        assert err.startswith("detente: ")
        assert "\n\n" not in err.strip()
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        return " ".join(err.split())

    return run


# Scenarios --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "by: USA\n    on: RSU\n    instrument: ban",
            "measure 1: There is no country `RSU`. Did you mean `RUS`",
        ),
        ("by: USA\n    on: NO\n    instrument: ban", "measure 1: There is no country `NO`."),
        (
            "by: USA\n    on: DEU\n    instrument: ban",
            "no country `DEU` (Germany) in this world. Leave it out",
        ),
        ("by: EU27\n    on: RUS\n    instrument: ban", "country group `EU27` has no member in this world"),
        (PAIR + "sectors: enrgy\n    instrument: ban", "no sector `enrgy`. Did you mean `Energy`"),
        ("by: USA\n    on: USA\n    instrument: ban", "United States is both sender and target."),
        ("by: coalition\n    on: [RUS, USA]\n    instrument: ban", "take `USA` out of `by` or out of `on`"),
        (PAIR + "instrument: cut", "measure 1: A `cut` needs a `size`"),
        (PAIR + "instrument: cut\n    size: 1", "expected at least 0 and below 1"),
        (PAIR + "instrument: cut\n    size: -0.2", "expected at least 0 and below 1"),
        (PAIR + "instrument: cut\n    size: .nan", "`size` of a cut is nan; expected a number"),
        (PAIR + "instrument: cut\n    size: 90%", "line 7, measure 1, `size`: found `'90%'`"),
        (PAIR + "instrument: cut\n    size: true", "expected a number, as 0.9"),
        (PAIR + "instrument: cut\n    sise: 0.9", "line 7, measure 1, `sise`: There is no key"),
        (PAIR + "instrument: bam", "line 6, measure 1, `instrument`: There is no instrument"),
        ("by: USA\n    on: RUS", "line 4, measure 1: the key `instrument` is missing"),
        ("by: USA\n    on: 7\n    instrument: ban", "line 5, measure 1, `on`: found `7`, expected a code"),
        ("by: []\n    on: RUS\n    instrument: ban", "line 4, measure 1, `by`: found `[]`"),
        ("by: USA\n    by: XCO\n    on: RUS", "line 5: the key `by` stands on line 4 already. Remove one"),
        (
            "by: USA\n    1: 2\n    on: RUS\n    instrument: ban",
            "line 5, measure 1, `1`: There is no key `1`",
        ),
        ("USA bans Russia", "line 4, measure 1: found `'USA bans Russia'`, expected keys with values"),
        ("lift: USA", "line 4, measure 1, `lift`: found `'USA'`, expected keys with values"),
        ("lift: {on: RUS}", "measure 1, `lift`: the key `by` is missing"),
        ("lift: {by: USA, onn: RUS}", "measure 1, `lift.onn`: There is no key `onn`. Did you mean `on`"),
        ("lift: {by: USA}", "measure 1: this lifting ends nothing"),
        ("{by: USA, on: RUS, instrument: ban}\n  - {by: usa, on: RUS, instrument: ban}", "in force already"),
    ],
)
def test_a_bad_measure_is_refused_with_file_line_and_mend(refused, entry: str, message: str):
    given = refused("mine.yaml", mine_yaml=f"{HEAD}measures:\n  - {entry}\n")
    assert message in given
    assert given.startswith("detente: `mine.yaml`, line ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`mine.yaml`: found nothing, expected keys with values"),
        ("# only a comment\n", "found nothing"),
        ("- by: USA\n", "line 1: found `[{'by': 'USA'}]`, expected keys with values"),
        ("just text\n", "line 1: found `'just text'`"),
        ("title: No name\n", "the key `name` is missing. Keys here: name, title"),
        ("name: My Name\ntitle: Spaces\n", "line 1, `name`: found `'My Name'`, expected small letters"),
        (HEAD + "regime: {as-of: 2025-02-30}\n", "line 3, `regime`: `2025-02-30` is not a date"),
        (
            HEAD + "regime: {as-of: early 2025}\n",
            "line 3, `regime.as-of`: found `'early 2025'`, expected a date",
        ),
        (HEAD + "regime: {as_of: 2025-02-17}\n", "line 3, `regime.as_of`: There is no key `as_of`"),
        (
            HEAD + "base: us-relief\nregime: {as-of: 2025-02-17}\n",
            "line 4, `regime`: the base has one already",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - lift: {by: USA, authority: executive}\n",
            "line 5, measure 1, `lift.authority`: There is no authority `executive`. Did you mean",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - lift: {by: DEU}\n",
            "There is no country `DEU` (Germany) in this world",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - impose: {id: eu-2022-879-oil}\n",
            "line 5, measure 1: the measure `eu-2022-879-oil` is in force already on 17 February 2025",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - impose: {id: eu-2022-897-oil}\n",
            "measure 1: There is no measure `eu-2022-897-oil`. Did you mean `eu-2022-879-oil`",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - lift: {by: USA, id: us-2025-petroleum-services}\n",
            "the measure `us-2025-petroleum-services` cuts no trade here: it is not in force on 17 February 2025",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - suspend: {by: USA, until: 2024-01-01}\n",
            "measure 1: the suspension is over on 1 January 2024, before the day of the regime",
        ),
        (
            HEAD + "base: status-quo-2025\nmeasures:\n  - snapback: {by: USA}\n",
            "measure 1: this step brings back nothing: The United States reimposes all its measures.",
        ),
        (
            HEAD + "measures:\n  - lift: {by: USA, authority: statute}\n",
            "measure 1: `authority` or `package` speaks of measures of the catalogue",
        ),
        (HEAD + "measure: []\n", "line 3, `measure`: There is no key `measure`. Did you mean `measures`"),
        (HEAD + "measures: USA\n", "line 3, `measures`: found `'USA'`, expected a list"),
        (HEAD + "title: Again\n", "line 3: the key `title` stands on line 2 already"),
        (HEAD + "measures:\n\t- by: USA\n", "line 4: not valid YAML"),
        (HEAD + "measures: [\n", "not valid YAML"),
        (HEAD + "---\nname: second\n", "line 3: not valid YAML"),
        (HEAD + "focus: !!int ''\n", "not valid YAML"),
        (HEAD + "focus: !!timestamp soon\n", "not valid YAML"),
        (HEAD + "focus: !!python/name:os.system\n", "line 3: not valid YAML"),
        (HEAD + "measures: &a [*a]\n", "expected keys with values"),
        (HEAD + "measures: " + "[" * 3000, "not valid YAML"),
        (HEAD + "base: status-quo\n", "line 3, `base`: There is no scenario `status-quo`. Did you mean"),
        (HEAD + "against: nowhere.yaml\n", "line 3, `against`: There is no scenario file `nowhere.yaml`"),
        (HEAD + "base: mine.yaml\n", "line 3, `base`: `mine.yaml` is its own base"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_mend(refused, text: str, message: str):
    assert message in refused("mine.yaml", mine_yaml=text)


def test_a_ring_of_bases_is_refused(refused):
    message = refused("a.yaml", a_yaml=HEAD + "base: b.yaml\n", b_yaml=HEAD + "base: a.yaml\n")
    assert "`b.yaml`, line 3, `base`: `a.yaml` is its own base" in message


def test_a_file_that_is_no_text_is_refused(refused, tmp_path: Path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert "cannot be read" in refused("mine.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "There is no scenario file `folder.yaml`" in refused("folder.yaml")


FRAGMENTS = [
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "null",
    ".nan",
    "1e400",
    "-1",
    "'",
    "&a ",
    "*a",
    "!!int ",
    "<<: ",
]
FRAGMENTS += [
    "\n",
    "  ",
    "\t",
    "all",
    "? ",
    "| ",
    "2020-13-40",
    "0x",
    "\N{SNOWMAN}",
    "\x00",
    "%",
    "---\n",
    "lift: ",
]


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 30), st.sampled_from(FRAGMENTS)), min_size=1))
def test_a_mangled_file_loads_or_is_refused_and_nothing_else(tmp_path_factory, edits):
    text = (SHIPPED / "status-quo-2025-aggregate.yaml").read_text(encoding="utf-8")
    text += "  - lift: {by: USA, on: RUS, direction: imports, id: coalition-imports}\n"
    for start, length, fragment in edits:
        start %= len(text)
        text = text[:start] + fragment + text[start + length :]
    path = tmp_path_factory.getbasetemp() / "mangled.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(InputError):
        assert str(Scenario.load(path))


def test_what_passed_is_not_checked_again_and_what_did_not_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DETENTE_CACHE", str(tmp_path))
    rules = {"type": "object", "properties": {"size": {"type": "number"}}}
    for _ in range(2):
        with pytest.raises(InputError, match="size"):
            yaml_file.check({"size": "0.5"}, None, rules, lambda keys: ".".join(map(str, keys)))
    yaml_file.check({"size": 0.5}, None, rules, str)
    monkeypatch.setattr(jsonschema, "Draft202012Validator", lambda _: pytest.fail("checked again"))
    yaml_file.check({"size": 0.5}, None, rules, str)


def test_an_unknown_scenario_gets_the_nearest_name(refused):
    assert "There is no scenario `us-releif`. Did you mean `us-relief`" in refused("us-releif")
    assert "There is no scenario file `none.yaml`. Shipped ones: all-lift" in refused("none.yaml")
    assert "Did you mean `embargo`" in refused("us-relief", "--against", "embrago")


@pytest.mark.parametrize("given", [5, None, ["us-relief"], True])
def test_something_that_is_no_scenario_is_refused(given):
    with pytest.raises(InputError, match="A scenario is a name, a path"):
        Scenario.load(given)


def test_a_scenario_built_of_other_things_is_refused():
    with pytest.raises(InputError, match="Measure 1 of scenario `s` is"):
        Scenario("s", measures=[{"by": "USA"}])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="must be a scenario"):
        Scenario("s", base="embargo")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="The scenario given, `True`: There is no key `True`"):
        Scenario.load({"name": "s", "title": "From YAML 1.1", True: "RUS"})  # pyright: ignore[reportArgumentType]


# Options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--elasticities", "uniform-6"],
            "no elasticity set `uniform-6`. Did you mean `uniform-5` or `uniform-4`?",
        ),
        (["--elasticities", "-4"], "`trade_elasticity` is -4"),
        (["--elasticities", "nan"], "`trade_elasticity` is nan at sector ENE"),
        (["--elasticities", "none.csv"], "There is no elasticity file `none.csv`"),
        (["--deficits", "balance"], "no deficit closure `balance`. Did you mean `balanced`"),
        (["--tolerance", "0"], "`--tolerance` is 0; expected between 0 and 1"),
        (["--tolerance", "nan"], "`--tolerance` is nan"),
        (["--world", "none.nc"], "none.nc"),
    ],
)
def test_a_bad_option_is_refused(refused, options: list[str], message: str):
    assert message in refused("us-relief", *options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the columns `sector` and `trade_elasticity`"),
        ("sector,theta\nENE,4\n", "needs the columns `sector` and `trade_elasticity`"),
        ("sector,trade_elasticity\nENE,4\nGDS,4\n", "No trade elasticity for sector SRV in `theta.csv`"),
        ("sector,trade_elasticity\nENE,4\nGDS,4\nSRV,four\n", "row 4: the elasticity of SRV is `four`"),
        ("sector,trade_elasticity\nENE,4\nGDS,4\nSRV\n", "row 4: the elasticity of SRV is"),
        ("sector,trade_elasticity\nENE,4\nENE,5\nGDS,4\nSRV,4\n", "row 3: sector ENE is listed twice"),
        ("sector,trade_elasticity\nENE,4\nGDS,4\nSRV,4\nSVR,4\n", "no sector `SVR`. Did you mean `SRV`"),
        ("sector,trade_elasticity\nENE,4\nGDS,0\nSRV,4\n", "`trade_elasticity` is 0 for GDS"),
        ("sector,trade_elasticity\nENE,4\nGDS,nan\nSRV,4\n", "`trade_elasticity` is nan at sector GDS"),
    ],
)
def test_a_bad_elasticity_file_is_refused(refused, text: str, message: str):
    assert message in refused("us-relief", "--elasticities", "theta.csv", theta_csv=text)


def test_an_out_that_cannot_be_a_folder_is_refused_before_anything_is_computed(refused):
    assert "`taken.txt` is a file; expected a folder" in refused(
        "us-relief", "--out", "taken.txt", taken_txt="mine"
    )
    assert "taken.txt` is a file" in refused("us-relief", "--out", "taken.txt/deeper/still")
    assert "expected a folder" in refused("us-relief", "--out", "/dev/null/results")


def test_a_report_that_cannot_be_written_is_one_paragraph(refused, monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("detente.report.write_report", full)
    assert "writing the report failed: No space left on device" in refused("us-relief")


# Worlds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["notes.nc", "notes.txt"])
def test_a_file_that_is_not_a_world_is_refused(refused, tmp_path: Path, name: str):
    (tmp_path / name).write_text("not a world")
    assert name in refused("us-relief", "--world", name)


def test_a_netcdf_file_of_something_else_is_refused(refused, tmp_path: Path):
    with h5py.File(tmp_path / "other.nc", "w") as file:
        file["temperature"] = np.ones(3)
    assert "other.nc" in refused("us-relief", "--world", "other.nc")


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "is not a finite number: nan"), (1e9, "output"), (-1.0, "negative")]
)
def test_a_damaged_world_is_refused_with_the_cell(refused, tmp_path: Path, value: float, message: str):
    World.load("tiny").save(tmp_path / "bad.nc")
    with h5py.File(tmp_path / "bad.nc", "r+") as file:
        file["final_trade"][0, 1, 2] = value  # pyright: ignore[reportIndexIssue]
    given = refused("us-relief", "--world", "bad.nc")
    assert all(part in given for part in (message, "RUS", "GDS"))


@pytest.fixture(scope="module")
def dependent() -> World:
    """AAA makes no oil: it buys all of it from BBB and CCC."""
    trade = np.array([[[0, 0, 0], [9, 4, 2]], [[6, 8, 1], [2, 9, 3]], [[3, 2, 7], [1, 2, 9]]], float)
    bought = trade.sum(axis=0).T  # country, input
    makes = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])  # country, user
    return World.from_arrays(
        ["AAA", "BBB", "CCC"],
        ["oil", "other"],
        intermediate_trade=trade,
        final_trade=2 * trade,
        input_use=bought[:, :, None] * makes[:, None, :],
        year=2000,
        source="made up",
    )


def test_a_ban_that_leaves_a_user_without_supplier_is_refused_by_country_and_sector(
    refused, dependent: World, tmp_path: Path
):
    dependent.save(tmp_path / "dependent.nc")
    ban = "  - {by: AAA, on: [BBB, CCC], direction: imports, sectors: oil, instrument: ban}\n"
    options = ["--world", "dependent.nc", "--elasticities", "4"]
    given = refused("mine.yaml", *options, mine_yaml=f"{HEAD}measures:\n{ban}")
    assert "leaves AAA sector oil without any supplier" in given
    assert "Leave one source open" in given
    blocked = np.zeros((3, 3, 2), bool)
    blocked[0, 1:, 0] = True
    with pytest.raises(InputError, match="leaves AAA sector oil without any supplier"):
        simulate(calibrate(dependent, 4), Shock(blocked=blocked))


def test_with_one_source_left_open_the_same_economy_solves(dependent: World):
    ban = Measure("AAA", "BBB", "ban", direction="imports", sectors="oil")
    assert simulate(calibrate(dependent, 4), Scenario("partial", measures=[ban])).converged


# Arrays -----------------------------------------------------------------------------------------------------


def shares(**changed) -> dict:
    half = np.full((2, 2, 2), 0.5)
    return {
        "countries": ["AAA", "BBB"],
        "sectors": ["s1", "s2"],
        "trade_share": half,
        "input_share": half / 2,
        "value_added_share": np.full((2, 2), 0.5),
        "consumption_share": np.full((2, 2), 0.5),
        "value_added": [1.0, 1.0],
        "deficit": [0.0, 0.0],
        "trade_elasticity": 4.0,
        **changed,
    }


def with_cell(value: float, *cell: int) -> np.ndarray:
    array = np.full((2, 2, 2), 0.5)
    array[cell] = value
    return array


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"trade_share": with_cell(0.6, 0, 1, 0)},
            r"`trade_share summed over exporters` is 1.1 at importer AAA",
        ),
        ({"trade_share": with_cell(np.nan, 1, 0, 1)}, "is nan at importer BBB, exporter AAA, sector s2"),
        ({"trade_share": with_cell(-0.5, 1, 0, 1)}, "at least 0"),
        ({"trade_share": np.ones((2, 2))}, r"has shape \(2, 2\); expected \(2, 2, 2\) \[importer, exporter"),
        (
            {"consumption_share": [[0.5, 0.4], [0.5, 0.5]]},
            "`consumption_share summed over sectors` is 0.9 at co",
        ),
        ({"value_added_share": np.full((2, 2), 0.6)}, "plus value_added_share` is 1.1 at country AAA"),
        ({"deficit": [0.1, 0.1]}, "`deficit` sums to 0.1"),
        ({"value_added": [1.0, np.inf]}, "`value_added` is inf at country BBB"),
        ({"trade_elasticity": [4.0, 0.0]}, "`trade_elasticity` is 0 for s2"),
        ({"countries": ["AAA", "AAA"]}, "AAA is listed twice"),
        ({"closure": "fixd"}, "no deficit closure `fixd`. Did you mean `fixed`"),
    ],
)
def test_bad_shares_are_refused_with_the_cell(changed: dict, message: str):
    with pytest.raises(InputError, match=message):
        Economy.from_shares(**shares(**changed))


@pytest.mark.parametrize(
    ("shock", "message"),
    [
        (Shock(trade_cost_change=with_cell(np.nan, 0, 1, 1)), "nan at importer AAA, exporter BBB, sector s2"),
        (Shock(trade_cost_change=with_cell(np.inf, 0, 1, 1)), "For a ban use `blocked`"),
        (Shock(trade_cost_change="much"), "must hold numbers"),
        (Shock(entry=-0.1), "`entry` is -0.1 at importer AAA.*expected a finite number at least 0"),
        (
            Shock(entry=with_cell(0.2, 0, 1, 1)),
            "`entry` is 0.5 at importer AAA, exporter AAA, sector s1, where the baseline has a share of .*weight_change",
        ),
        (Shock(weight_change=-0.5), "expected a finite number at least 0"),
        (Shock(tariff_new=-1.0), "expected a finite number above -1"),
        (Shock(blocked=with_cell(1, 0, 1, 1)), "must hold True and False"),
        (Shock(blocked=np.ones((2, 2, 2), bool)), "bans AAA's trade with itself"),
        (Shock(export_tax_new=np.zeros((3, 2))), r"has shape \(3, 2\)"),
    ],
)
def test_a_bad_shock_is_refused_with_the_cell(shock: Shock, message: str):
    with pytest.raises(InputError, match=message):
        simulate(Economy.from_shares(**shares()), shock)
