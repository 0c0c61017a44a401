"""The command line: what each command prints, where, with which exit code, and what it does not import."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detente import __version__
from detente.cli import main
from detente.scenario import available

# Keys that programs rely on; docs/json.md describes all.
KEYS = {
    "scenario",
    "against",
    "converged",
    "residual",
    "real_income",
    "equivalent_variation_usd_bn",
    "measures",
    "data",
    "parameters",
}


@pytest.fixture
def detente(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command in an empty folder; returns exit code, standard output, standard error."""

    def run(*arguments: str, **files: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["detente", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


# Answers ----------------------------------------------------------------------------------------------------


def test_run_prints_the_answer_and_how_sure_the_solver_is(detente):
    code, out, err = detente("run", "us-relief", "--world", "tiny", "--elasticities", "5")
    assert (code, err) == (0, "")
    assert out.startswith("The United States lifts its sanctions on Russia, all others keep theirs\n")
    assert "us-relief compared with status-quo-2025" in out
    assert "Russia " in out
    assert "converged, residual" in out
    assert "elasticities uniform 5" in out


def test_run_in_a_process_of_its_own_prints_one_json_object_and_nothing_else():
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "detente",
        "run",
        "us-relief",
        "--world",
        "tiny",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert content.keys() >= KEYS
    assert (content["scenario"], content["against"]) == ("us-relief", "status-quo-2025")
    assert content["converged"] is True
    assert 0 <= content["residual"] <= content["tolerance"] == 1e-10
    assert content["real_income"].keys() == content["equivalent_variation_usd_bn"].keys()
    assert list(content["real_income"]) == ["RUS", "USA", "XCO", "XRW"]
    assert content["real_income"]["RUS"] > 0
    assert content["data"]["year"] == 2022
    assert content["data"]["source"]
    assert content["parameters"]["elasticities"]["name"] == "caliendo-parro-2015"
    assert content["parameters"]["deficits"] == "share-of-world"


def test_json_goes_with_out_and_cite(detente, tmp_path: Path):
    arguments = ["embargo", "--world", "tiny", "--deficits", "balanced", "--json", "--cite", "--out", "a/b"]
    code, out, err = detente("run", *arguments)
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["parameters"]["deficits"] == "balanced"
    assert any("Caliendo" in line for line in content["citations"])
    assert (tmp_path / "a" / "b" / "report.html").stat().st_size > 10_000
    assert not list(tmp_path.rglob(".report-*"))


def test_out_names_the_report_and_cite_what_was_used(detente, tmp_path: Path):
    code, out, _ = detente("run", "us-relief", "--world", "tiny", "--out", "results", "--cite")
    assert code == 0
    assert out.rstrip().endswith(f"Report: {Path('results') / 'report.html'}")
    assert (tmp_path / "results" / "report.html").is_file()
    assert f"Software: détente {__version__}" in out
    assert "Measures: Catalogue of measures, as in force on 17 February 2025" in out


def test_against_and_world_and_elasticities_from_files(detente):
    mine = "name: mine\ntitle: Mine\nmeasures:\n  - {by: USA, on: RUS, instrument: cost, size: 0.5}\n"
    theta = "sector,trade_elasticity\nENE,8\nGDS,5\nSRV,3\n"
    options = ["--world", "tiny", "--elasticities", "theta.csv", "--against", "embargo", "--json"]
    code, out, _ = detente("run", "mine.yaml", *options, mine_yaml=mine, theta_csv=theta)
    content = json.loads(out)
    assert code == 0
    assert (content["scenario"], content["against"]) == ("mine", "embargo")
    assert content["parameters"]["trade_elasticity"] == {"ENE": 8.0, "GDS": 5.0, "SRV": 3.0}
    assert content["measures"] == ["The United States raises the cost of its trade with Russia by 50 %."]


def test_a_scenario_compared_with_itself_changes_nothing_and_says_so(detente):
    code, out, _ = detente("run", "embargo", "--against", "embargo", "--world", "tiny", "--json")
    content = json.loads(out)
    assert code == 0
    assert set(content["real_income"].values()) == {0.0}
    code, out, _ = detente("run", "embargo", "--against", "embargo", "--world", "tiny")
    assert code == 0
    assert out.count("≈\N{NO-BREAK SPACE}0") >= 6  # both columns of Russia, the United States and the world
    assert "nobody" not in out
    assert "gain most" not in out


@pytest.mark.parametrize("name", available())
def test_show_prints_a_scenario_in_sentences_with_sources(detente, name: str):
    code, out, err = detente("show", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"{name}: ")
    assert re.search(r"^  · [A-Z]", out, re.MULTILINE)
    assert "Compared with: " in out
    assert "Source: " in out


def test_scenarios_lists_all_that_ship(detente):
    code, out, _ = detente("scenarios")
    assert code == 0
    listed = out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed if not line.startswith(" ")] == available()


def test_world_says_what_the_data_are_and_their_limits(detente):
    code, out, _ = detente("world", "--world", "tiny", "--codes")
    assert code == 0
    for part in ("4 countries × 3 sectors", "Licence: ", "Limits to know:", "ENE Energy", "  EU27: The 27"):
        assert part in out


def test_version_and_help(detente):
    assert detente("--version")[:2] == (0, f"détente {__version__}\n")
    code, out, _ = detente("--help")
    assert code == 0
    assert all(command in out for command in ("run", "scenarios", "show", "world", "replicate"))


# Exit codes -------------------------------------------------------------------------------------------------

# Nobody trades with Russia in any way: its trade surplus of the data year has nowhere to go.
AUTARKY = (
    "name: autarky\ntitle: Nobody trades with Russia\nmeasures:\n  - {by: all, on: RUS, instrument: ban}\n"
)


@pytest.mark.parametrize("closure", ["share-of-world", "share-of-own", "fixed"])
def test_a_closure_that_asks_the_impossible_is_refused_with_exit_code_3(
    detente, tmp_path: Path, closure: str
):
    options = ["--world", "tiny", "--deficits", closure, "--out", "results"]
    code, out, err = detente("run", "mine.yaml", *options, mine_yaml=AUTARKY)
    assert (code, out) == (3, "")
    assert "cuts RUS off" in err
    assert closure in err
    assert "Use deficits='balanced'" in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_the_same_scenario_solves_when_trade_is_balanced(detente):
    options = ["--world", "tiny", "--deficits", "balanced", "--json"]
    code, out, _ = detente("run", "mine.yaml", *options, mine_yaml=AUTARKY)
    content = json.loads(out)
    assert code == 0
    assert content["converged"]
    assert content["real_income"]["RUS"] < -1  # percent; no trade at all costs more than any sanction on it


def test_cuts_choose_an_end_of_the_ranges_and_the_result_says_so(detente):
    arguments = ("run", "status-quo-2025", "--world", "tiny", "--json")
    found = {cuts: json.loads(detente(*arguments, "--cuts", cuts)[1]) for cuts in ("low", "central", "high")}
    income = {cuts: content["real_income"]["RUS"] for cuts, content in found.items()}
    assert income["high"] < income["central"] < income["low"] < 0
    assert "at its low end" in found["low"]["measures"][0]
    assert found["central"] == json.loads(detente(*arguments)[1])
    code, _, err = detente("run", "status-quo-2025", "--cuts", "hgih")
    assert code == 2
    assert "Did you mean `high`" in err


def test_a_tolerance_beyond_rounding_ends_with_exit_code_3(detente):
    code, out, err = detente("run", "embargo", "--world", "tiny", "--tolerance", "1e-30")
    assert (code, out) == (3, "")
    assert "Residual" in err
    assert "Try a larger `tolerance`" in err


@pytest.mark.parametrize("arguments", [["run"], ["run", "embargo", "--no-such"], ["rnu"]])
def test_misuse_of_the_command_line_ends_with_exit_code_2(detente, arguments: list[str]):
    code, out, err = detente(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


# Cost -------------------------------------------------------------------------------------------------------


HEAVY = ["jax", "equinox", "scipy", "pandas", "xarray", "altair", "vl_convert"]
LIGHT = ["numpy", "yaml", "jsonschema", "rich"]  # small, and still too much for --help


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [(["--help"], HEAVY + LIGHT), (["show", "us-relief"], HEAVY), (["scenarios"], HEAVY)],
)
def test_nothing_heavy_is_imported_before_a_command_needs_it(arguments: list[str], unwanted: list[str]):
    code = (
        "import atexit, sys; from detente.cli import main\n"
        f"atexit.register(lambda: print(*[n for n in {unwanted} if n in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['detente', *{arguments}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout
    assert done.stderr.strip() == ""


def test_output_survives_a_terminal_without_the_signs():
    command = [sys.executable, "-m", "detente", "show", "us-relief"]
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, **environment}, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"The United States lifts all its measures on Russia." in done.stdout
