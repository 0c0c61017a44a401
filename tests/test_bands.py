"""Draws solved as an ensemble: each draw is what `simulate` gives, none is lost, and a folder holds what memory holds."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import detente as dt
from detente import cli, ensemble, labels
from detente.calibration import calibrate
from detente.draws import SALTELLI
from detente.ensemble import Ensemble, work
from detente.errors import InputError
from detente.ranges import CUTS, MIX, SCALE
from detente.scenario import Scenario
from detente.spread import Spread, run
from detente.uncertainty import applied, placed
from detente.world import World

AGREEMENT = 1e-7  # percent; both are solved to a residual of 1e-11, which losses of a third magnify
TOLERANCE = 1e-11
NIL = 1e-12  # a share of variance that is nil but for rounding
DRAWS = 4
CUT = {"by": "coalition", "on": "RUS", "instrument": "cut", "size": 0.5, "range": [0.3, 0.8]}
ISLAND = [{"by": one, "on": "RUS", "instrument": "ban"} for one in ("USA", "XCO", "XRW")]


def scenario(*measures: dict, name: str = "some", **more) -> Scenario:
    return Scenario.load(
        {"name": name, "title": "Some cut", "focus": "RUS", "measures": list(measures), **more}
    )


def asked(*measures: dict, n: int = DRAWS, **options) -> Ensemble:
    return Ensemble.of(
        scenario(*measures or [CUT]), n, world="tiny", block=DRAWS, tolerance=TOLERANCE, **options
    )


@pytest.fixture(scope="module")
def found() -> Spread:
    return run(asked())


@pytest.fixture(scope="module")
def ranked() -> Spread:
    fixed = {key: value for key, value in CUT.items() if key != "range"}
    return run(asked(fixed, n=2, method=SALTELLI, parameters=[SCALE, CUTS]))


def test_each_draw_is_what_simulate_gives(found: Spread):
    made = found.ensemble
    economy = calibrate(World.load("tiny"))
    assert made.ranges.drawn == (SCALE, MIX, CUTS)
    for k in range(DRAWS):
        own, after = applied(made.draws[k], economy, made.after, made.ranges)
        alone = dt.simulate(own, after, tolerance=TOLERANCE)
        row = found.rows.iloc[k]
        assert row["draw"] == k
        assert {name: row[name] for name in made.draws.names} == made.draws[k]
        for name in ("real_income", "equivalent_variation", "income_before"):
            got = [row[f"{name}_{code}"] for code in economy.countries]
            np.testing.assert_allclose(got, alone.data[name], rtol=0, atol=AGREEMENT)
        for key, value in alone.group(["RUS", "USA"]).items():
            if key != "income_before":
                assert found.of(["RUS", "USA"])[key][k] == pytest.approx(value, abs=AGREEMENT)
    assert list(found.rows.columns) == made.columns
    assert found.rows["real_income_RUS"].nunique() == DRAWS


def test_bands_are_percentiles_of_the_draws(found: Spread):
    shown = found.bands().set_index(["code", "quantity"])
    values = found.rows["real_income_RUS"].sort_values().to_numpy()
    row = shown.loc[("RUS", "real_income")]
    assert row["p50"] == pytest.approx((values[1] + values[2]) / 2)
    assert row["p5"] == pytest.approx(values[0] + 0.15 * (values[1] - values[0]))
    everyone = [f"equivalent_variation_{code}" for code in found.ensemble.countries]
    whole = found.rows[everyone].sum(axis=1)
    assert shown.loc[("all", "equivalent_variation"), "p50"] == pytest.approx(whole.median())
    assert found.summary().count("Russia") == 2
    assert "4 of 4 draws solved" in repr(found)


def test_a_folder_holds_what_memory_holds_and_goes_on(found: Spread, tmp_path: Path):
    told = []
    stored = run(asked(n=8), tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 8), (4, 8), (8, 8)]
    whole = run(asked(n=8))
    pd.testing.assert_frame_equal(stored.rows, whole.rows, check_exact=True, check_dtype=False)
    (tmp_path / "draws" / "part-00001.parquet").unlink()
    again = run(asked(n=8), tmp_path)
    pd.testing.assert_frame_equal(again.rows, stored.rows, check_exact=True)
    with pytest.raises(InputError, match=r"plan\.after\.measures"):
        run(asked(CUT | {"size": 0.4}, n=8), tmp_path)  # the same name and another content


def test_a_draw_without_a_solution_is_told_and_in_no_band(monkeypatch: pytest.MonkeyPatch, found: Spread):
    lost = found.ensemble.draws[1][CUTS]

    def refusing(draw, scenario):
        if draw[CUTS] == lost and scenario.name == "some":
            raise InputError("no such cut")
        return placed(draw, scenario)

    monkeypatch.setattr(ensemble, "placed", refusing)
    part = run(asked())
    assert part.failed == {1: "no such cut"}
    assert part.rows["result"].tolist() == [0, dt.Result.REFUSED, 0, 0]
    assert part.rows["result_before"].tolist() == [0, 0, 0, 0]
    assert part.rows.loc[1, ["real_income_RUS", "income_before_USA"]].isna().all()
    assert np.isnan(part.of("all")["real_income"][1])
    others = found.rows["real_income_RUS"].drop(1)
    assert part.rows["real_income_RUS"].drop(1).to_numpy() == pytest.approx(others.to_numpy(), abs=AGREEMENT)
    middle = part.bands().set_index(["code", "quantity"]).loc[("RUS", "real_income"), "p50"]
    assert middle == pytest.approx(others.median(), abs=AGREEMENT)
    assert "3 of 4 draws solved" in part.summary()
    assert "first is draw 1: no such cut" in part.summary()
    assert part.to_json()["failed"] == ["draw 1: no such cut"]


def test_what_changes_nothing_drives_nothing(ranked: Spread):
    """Without a range of its size, the position of sizes has no share of the variance, the only other parameter all."""
    assert len(ranked) == 8
    driver = ranked.rankings["Russia", "RUS"]
    assert [each.name for each in driver.drivers] == [SCALE, CUTS]
    assert abs(driver[CUTS].total) < NIL
    assert driver[SCALE].total > 0
    assert ranked.to_json()["drivers"][0]["parameter"] == SCALE
    assert "what drives Russia's real income" in ranked.summary()


def test_files_are_written(ranked: Spread, tmp_path: Path):
    from detente.spread_report import write

    made = write(ranked, tmp_path)
    names = {"bands.csv", "drivers.csv", "spread.json"}
    assert set(made) == names | {
        f"charts/{one}.{end}" for one in ("bands", "drivers") for end in ("svg", "png")
    }
    pd.testing.assert_frame_equal(pd.read_csv(made["bands.csv"]), ranked.bands())
    assert json.loads(made["spread.json"].read_text("utf-8"))["draws"]["count"] == 8
    assert "Russia" in made["charts/bands.svg"].read_text("utf-8")


# Plans ------------------------------------------------------------------------------------------------------


def test_a_plan_is_all_that_a_machine_needs(found: Spread):
    plan = json.loads(json.dumps(asked().to_plan(), allow_nan=False))
    rows = pd.DataFrame(work(plan, 0))
    pd.testing.assert_frame_equal(rows, found.rows, check_exact=True)
    other = plan | {"world": {"name": "tiny", "digest": "0"}}
    with pytest.raises(InputError, match="digest differs"):
        work(other, 0)


def test_a_digest_is_of_codes_and_flows():
    world = World.load("tiny")
    assert ensemble.digest(world) == ensemble.digest(World(world.data.copy(deep=True)))
    changed = world.data.copy(deep=True)
    changed["final_trade"][0, 0, 0] += 1e-6
    assert ensemble.digest(World(changed)) != ensemble.digest(world)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "number of draws is 0"),
        ({"method": "sobl"}, "Did you mean `sobol`"),
        ({"parameters": ["gas_mix"], "ranges": "short"}, "no effect"),
        ({"parameters": ["inptus"]}, "parameter with a range"),
        ({"method": SALTELLI, "n": 1}, "at least 2 base points"),
        ({"against": "us-relief-at-risk"}, "3 possible outcomes"),
        ({"elasticities": "uniform-7"}, "elasticity set"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(options: dict, said: str):
    with pytest.raises(InputError, match=said):
        asked(**options)


def test_processes_need_a_folder():
    with pytest.raises(InputError, match="Name one by `out`"):
        run(asked(), workers=2)
    made = dataclasses.replace(asked(), ranges=_changed())
    with pytest.raises(InputError, match="Draws need a horizon that ships"):
        made.to_plan()


def test_memory_needs_no_parquet_and_a_folder_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(run(asked())) == DRAWS
    with pytest.raises(InputError, match=r"detente\[sweep\]"):
        run(asked(), tmp_path / "out")


def _changed():
    from detente.ranges import Ranges

    shipped = Ranges.load("short")
    return dataclasses.replace(shipped, horizon=shipped.horizon.changed({"inputs": 0.1}))


# Command line -----------------------------------------------------------------------------------------------


def command(*words: str):
    return CliRunner().invoke(cli.app, ["run", *words, "--world", "tiny", "--tolerance", str(TOLERANCE)])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "some.json.yaml"
    content = {"name": "some", "title": "Some cut", "focus": "RUS", "measures": [CUT]}
    path.write_text(json.dumps(content), "utf-8")
    return str(path)


def test_the_command_prints_and_writes(file: str, tmp_path: Path, found: Spread):
    printed = command(file, "--draws", "4", "--out", str(tmp_path / "out"))
    assert printed.exit_code == 0, printed.output
    head = printed.stdout.split("\n4 of 4 draws solved")[0]
    assert head == found.summary().split("\n4 of 4 draws solved")[0]
    made = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*") if path.is_file()
    }
    assert {"bands.csv", "spread.json", "draws/part-00000.parquet", "charts/bands.png"} <= made
    told = json.loads(command(file, "--draws", "4", "--json").stdout)
    assert told["bands"] == found.to_json()["bands"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "0"], "`--seed` needs `--draws`"),
        (["--fresh"], "`--fresh` needs `--draws`"),
        (["--draws", "4", "--split"], "`--split` does not go with `--draws`"),
        (["--draws", "4", "--set", "inputs=0.1"], "`--set` does not go"),
        (["--draws", "4", "--workers", "2"], "Name one by `out`"),
        (["--draws", "4", "--horizon", "short", "--ranges", "x.yaml"], "`--horizon` and `--ranges`"),
        (["--draws", "4", "--cuts", "low"], "`--cuts low` does not go"),
        (["--draws", "0"], "number of draws is 0"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], said: str, file: str):
    printed = command(file, *words)
    assert isinstance(printed.exception, InputError)
    assert said in str(printed.exception)


def test_no_solution_at_all(tmp_path: Path):
    path = tmp_path / "island.yaml"
    path.write_text(
        json.dumps({"name": "island", "title": "Island", "focus": "RUS", "measures": ISLAND}), "utf-8"
    )
    printed = command(str(path), "--draws", "4")
    assert isinstance(printed.exception, dt.ConvergenceError)
    assert "0 of 4 draws solved" in printed.stdout
    with pytest.raises(InputError, match="None of 4 draws"):
        run(asked(*ISLAND)).bands()


# Killed -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_and_resumed_it_ends_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from tools import kill_sweep

    given = argparse.Namespace(
        draws=320, world="tiny", scenario=kill_sweep.SCENARIO, against=kill_sweep.AGAINST, no_cluster=False
    )
    assert kill_sweep._compare(tmp_path, given) == 0
    printed = capsys.readouterr().out
    assert printed.count("kill -9 of the run") == 3
    assert printed.count("kill -9 of a worker") == 1
    assert "All are the same to the byte." in printed


def test_columns_are_described_where_a_reader_looks():
    page = (labels.DATA.parents[2] / "docs" / "uncertainty.md").read_text("utf-8")
    for name in (
        "draw",
        "result_before",
        "result",
        "residual",
        "message",
        *(f"{x}_" for x in ensemble.BY_COUNTRY),
    ):
        assert f"`{name}" in page
