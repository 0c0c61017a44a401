"""Sweeps: the same bytes in one go, after kill -9 of the run or of a worker, and on a cluster.

The outside witness of a folder is the table that its rows come from, made here without the sweep; digests of folders are
compared bit by bit, so there are no tolerances.
"""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detente import claim, parts
from detente.errors import ConvergenceError, DetenteError, InputError
from detente.parts import Manifest, Parts
from detente.sweep import SweepResult, read_sweep, run_sweep, sweep_digest
from tests import sweep_work

PLAN: dict[str, Any] = {"seed": 7, "draws": 50, "nested": {"b": [1, 2.5], "a": "é"}}
BLOCKS = 6
WORK = "tests.sweep_work.draws"
ROOT = Path(__file__).parents[1]


def sweep(folder: Path, **options: Any) -> SweepResult:
    given = {"plan": PLAN, "function": WORK, "blocks": BLOCKS} | options
    return run_sweep(folder, given.pop("plan"), given.pop("function"), given.pop("blocks"), **given)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def calls(log: Path) -> dict[int, int]:
    """How often each block was begun."""
    return dict(sorted(Counter(int(path.name.split("-")[0]) for path in log.iterdir()).items()))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(folder)
    return folder


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    monkeypatch.setenv("SWEEP_LOG", str(folder))
    return folder


# Results ----------------------------------------------------------------------------------------------------


def test_a_sweep_holds_the_rows_of_its_function_in_order(tmp_path: Path):
    told = []
    result = sweep(tmp_path, progress=lambda done, of: told.append((done, of)))
    assert result == SweepResult(tmp_path, BLOCKS, BLOCKS * PLAN["draws"], tuple(range(BLOCKS)), ())
    assert told == [(done, BLOCKS) for done in range(BLOCKS + 1)]
    wanted = pd.concat([sweep_work.draws(PLAN, block) for block in range(BLOCKS)], ignore_index=True)
    found = read_sweep(tmp_path)
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    assert np.isnan(found["second"]).sum() == BLOCKS  # not a number stays one
    assert names(tmp_path) == ["manifest.json", *(f"part-{block:05d}.parquet" for block in range(BLOCKS))]
    files = pd.concat([pd.read_parquet(path) for path in sorted(tmp_path.glob("part-*.parquet"))])
    pd.testing.assert_frame_equal(files.reset_index(drop=True), wanted, check_exact=True)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path, undisturbed: Path):
    for name in ("a", "b"):
        sweep(tmp_path / name, function="tests.sweep_work.arrays")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    first, other = read_sweep(undisturbed), read_sweep(tmp_path / "a")
    pd.testing.assert_frame_equal(first, other, check_exact=True)  # a frame and arrays are one


def test_the_digest_is_that_of_the_files(undisturbed: Path):
    whole = hashlib.sha256()
    for path in sorted(undisturbed.glob("part-*.parquet")):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    assert sweep_digest(undisturbed) == whole.hexdigest()


def test_the_digest_tells_plans_apart(tmp_path: Path, undisturbed: Path):
    sweep(tmp_path, plan=PLAN | {"seed": 8})
    assert sweep_digest(tmp_path) != sweep_digest(undisturbed)


# Interrupted ------------------------------------------------------------------------------------------------

RUN = """
import json, os, signal, sys
from pathlib import Path
from detente.sweep import run_sweep

real = os.replace

def replace(source, target):
    if Path(target).name == os.environ.get("SWEEP_HALF"):
        os.truncate(source, 100)
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)

os.replace = replace
run_sweep(**json.loads(sys.argv[1]))
"""


def test_killed_twice_it_goes_on_and_ends_the_same(tmp_path: Path, log: Path, undisturbed: Path):
    folder = tmp_path / "sweep"

    given = json.dumps({"folder": str(folder), "plan": PLAN, "function": WORK, "blocks": BLOCKS})

    def killed(**environment: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", RUN, given], cwd=ROOT, env=os.environ | environment, check=False
        )
        assert run.returncode == -signal.SIGKILL
        return names(folder)

    done = [f"part-{block:05d}.parquet" for block in range(4)]
    assert killed(SWEEP_DIE="2") == [".claim", "manifest.json", *done[:2]]
    left = killed(SWEEP_HALF="part-00004.parquet")
    assert [name for name in left if not name.endswith(".tmp")] == [".claim", "manifest.json", *done]
    assert len(left) == len(done) + 3  # and one that was half-written
    with pytest.raises(InputError, match=r"lacks 2 of 6 blocks \(4, 5\)"):
        read_sweep(folder)
    assert sweep(folder).computed == (4, 5)
    assert sweep_digest(folder) == sweep_digest(undisturbed)
    assert names(folder) == names(undisturbed)
    assert calls(log) == {0: 1, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1}  # only what was in flight was done twice


def test_stopped_by_hand_it_goes_on(tmp_path: Path, log: Path, undisturbed: Path):
    def stop(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "sweep", progress=stop)
    assert names(tmp_path / "sweep") == [
        "manifest.json",
        *(f"part-{block:05d}.parquet" for block in range(3)),
    ]
    assert sweep(tmp_path / "sweep").computed == (3, 4, 5)
    assert sweep_digest(tmp_path / "sweep") == sweep_digest(undisturbed)
    assert set(calls(log).values()) == {1}
    assert sweep(tmp_path / "sweep").computed == ()
    assert set(calls(log).values()) == {1}


def test_every_flipped_bit_is_found_or_means_nothing(tmp_path: Path):
    """One bit of each byte of a part: either it is refused, or its rows are what they were."""
    place = Parts(tmp_path, Manifest.of({"seed": 1, "draws": 3}, WORK, 1))
    data = place.encode(0, sweep_work.draws(place.manifest.plan, 0))

    def rows(data: bytes) -> str | None:
        table = place.decode(0, data)
        return None if table is None else f"{table.schema} {table.to_pydict()}"

    right, refused = rows(data), 0
    for at in range(len(data)):
        found = rows(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert found in (None, right), at
        refused += found is None
    assert refused > len(data) / 2  # the rest, such as the name of the writer, says nothing about rows
    assert not any(map(rows, (data[:at] for at in range(0, len(data), 3))))


def test_a_damaged_part_is_not_read_and_is_done_again(tmp_path: Path, undisturbed: Path):
    sweep(tmp_path)
    part = [tmp_path / f"part-{block:05d}.parquet" for block in range(BLOCKS)]
    data = part[1].read_bytes()
    part[1].write_bytes(data[: len(data) // 2])
    part[3].write_bytes(part[2].read_bytes())  # whole, of another block
    part[4].write_bytes(b"")
    part[5].unlink()
    with pytest.raises(InputError, match=r"lacks 4 of 6 blocks \(1, 3, 4, 5\).*allow_partial"):
        sweep_digest(tmp_path)
    partial = read_sweep(tmp_path, allow_partial=True)
    assert partial.attrs["missing"] == [1, 3, 4, 5]
    wanted = pd.concat([sweep_work.draws(PLAN, block) for block in (0, 2)], ignore_index=True)
    pd.testing.assert_frame_equal(partial, wanted, check_exact=True)
    result = sweep(tmp_path)
    assert (result.computed, result.damaged) == ((1, 3, 4, 5), (1, 3, 4))
    assert sweep_digest(tmp_path) == sweep_digest(undisturbed)


# Refusals ---------------------------------------------------------------------------------------------------


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path, undisturbed: Path):
    sweep(tmp_path)
    before = sweep_digest(tmp_path)
    other = PLAN | {"seed": 8, "nested": {"b": [1, 2.5], "a": "e"}}
    with pytest.raises(InputError) as refused:
        sweep(tmp_path, plan=other, blocks=5)
    said = str(refused.value)
    for part in (
        "blocks (6 there, 5 here)",
        "plan.seed (7 there, 8 here)",
        'plan.nested.a ("é" there, "e" here)',
    ):
        assert part in said
    assert "plan.draws" not in said
    assert "--fresh" in said
    assert sweep_digest(tmp_path) == before
    assert sweep(tmp_path, plan=other, blocks=5, fresh=True).computed == tuple(range(5))
    assert len(names(tmp_path)) == 6
    assert sweep(tmp_path, fresh=True).computed == tuple(range(BLOCKS))
    assert sweep_digest(tmp_path) == sweep_digest(undisturbed)


def test_other_packages_do_not_go_on_with_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sweep(tmp_path)
    monkeypatch.setattr(parts, "_installed", lambda: {"numpy": "1.0"})
    with pytest.raises(InputError, match=r'versions\.numpy \("[\d.]+" there, "1\.0" here\)'):
        sweep(tmp_path)
    assert len(read_sweep(tmp_path)) == BLOCKS * PLAN["draws"]  # reading needs no equal packages


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"seed": 7', '"seed": 8'), "changed after it was written"),
        (lambda text: text[:40], "cannot be read as a manifest"),
        (lambda text: "[1]", "cannot be read as a manifest"),
        (lambda text: text.replace("detente-sweep 1", "detente-sweep 0"), "has format 'detente-sweep 0'"),
    ],
)
def test_a_manifest_of_another_hand_is_refused(tmp_path: Path, change: Any, said: str):
    sweep(tmp_path, blocks=1)
    path = tmp_path / "manifest.json"
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    for use in (lambda: sweep(tmp_path, blocks=1), lambda: read_sweep(tmp_path)):
        with pytest.raises(InputError, match=said):
            use()


def test_folders_that_are_no_sweep(tmp_path: Path):
    with pytest.raises(InputError, match="holds no sweep"):
        read_sweep(tmp_path)
    (tmp_path / "part-00000.parquet").touch()
    with pytest.raises(InputError, match=r"holds part-00000\.parquet and no manifest"):
        sweep(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        sweep(tmp_path / "file")
    begun = tmp_path / "begun"
    with pytest.raises(ZeroDivisionError):
        sweep(begun, function="tests.sweep_work.broken", plan={"offset": 0}, blocks=3)
    (begun / "part-00000.parquet").unlink()
    (begun / "part-00001.parquet").unlink()
    with pytest.raises(InputError, match="no finished part yet"):
        read_sweep(begun, allow_partial=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"function": "tests.sweep_work.drawz"}, r"`tests\.sweep_work\.drawz` cannot be imported"),
        ({"function": "tests.no_module.draws"}, "cannot be imported"),
        ({"function": "draws"}, "cannot be imported"),
        ({"plan": {"x": np.float64("nan")}}, "must be JSON"),
        ({"plan": {"x": np.arange(3)}}, "must be JSON"),
        ({"blocks": 0}, "at least one block"),
        ({"workers": 0}, "give at least one"),
        ({"workers": 2, "scheduler": "tcp://host:8786"}, "has its own workers"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(tmp_path: Path, options: Any, said: str):
    with pytest.raises(InputError, match=said):
        sweep(tmp_path / "sweep", **options)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("kind", ["number", "lengths", "missing", "dates", "mixed", "square"])
def test_rows_that_are_no_columns_of_values_are_refused(tmp_path: Path, kind: str):
    with pytest.raises(InputError, match=r"^Block 0"):
        sweep(tmp_path, plan={"kind": kind}, function="tests.sweep_work.misshapen")


def test_an_error_of_a_block_names_it_and_keeps_the_rest(tmp_path: Path):
    with pytest.raises(ConvergenceError, match=r"Block 2 of 6: It did not converge\. The parts .* are kept"):
        sweep(tmp_path / "refusing", function="tests.sweep_work.refusing")
    assert names(tmp_path / "refusing") == ["manifest.json", "part-00000.parquet", "part-00001.parquet"]
    with pytest.raises(ZeroDivisionError) as fault:
        sweep(tmp_path / "broken", function="tests.sweep_work.broken")
    assert "block 2" in fault.value.__notes__[0]
    with pytest.raises(
        InputError, match=r"Block 1 has the columns .*; those before it have .*name \(string\)"
    ):
        sweep(tmp_path / "uneven", function="tests.sweep_work.uneven")


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for package, options in (("distributed", {"workers": 2}), ("pyarrow", {})):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=re.escape('pip install "detente[sweep]"')):
            sweep(tmp_path, **options)


def test_the_command_line_loads_none_of_them():
    heavy = {"dask", "distributed", "pyarrow"}
    program = f"import detente.cli, detente.sweep, sys; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Claims -----------------------------------------------------------------------------------------------------


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path):
    def second(done: int, of: int) -> None:
        if done == 2:
            with pytest.raises(InputError, match=rf"Another run works in .*process {os.getpid()} on "):
                sweep(tmp_path)

    assert sweep(tmp_path, progress=second).computed == tuple(range(BLOCKS))


def claimant(**changes: Any) -> str:
    return json.dumps(json.loads(claim._claim()) | changes)


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_claim_of_the_dead_is_void(tmp_path: Path):
    for text in (
        claimant(pid=dead()),
        claimant(started="1"),
    ):  # the second: another process has the number now
        (tmp_path / ".claim").write_text(text, "utf-8")
        sweep(tmp_path)
        assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize(
    "text_of",
    [claimant, lambda: claimant(pid=dead(), host=f"{socket.gethostname()}-2"), str, lambda: "{}"],
    ids=["this process", "another host", "empty", "without a word"],
)
def test_a_claim_that_may_live_holds(tmp_path: Path, text_of: Callable[[], str]):
    text = text_of()
    (tmp_path / ".claim").write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"Another run works in .*remove `.*\.claim`"):
        sweep(tmp_path)
    assert (tmp_path / ".claim").read_text("utf-8") == text
    assert names(tmp_path) == [".claim"]


def test_of_two_that_find_a_void_claim_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, other = tmp_path / ".claim", claimant(pid=1)
    path.write_text(claimant(pid=dead()), "utf-8")

    def overtaken(text: str) -> bool:
        path.write_text(other, "utf-8")
        return True

    monkeypatch.setattr(claim, "_void", overtaken)
    with pytest.raises(InputError, match="process 1 on"):
        sweep(tmp_path)
    assert path.read_text("utf-8") == other
    assert names(tmp_path) == [".claim"]


# Cluster ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a scheduler with two worker processes, and the folder where they log; block 3 kills its first."""
    from distributed import LocalCluster

    folder = tmp_path_factory.mktemp("log")
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        env={"SWEEP_LOG": str(folder), "SWEEP_DIE": "3"},  # of the workers, not of this process
    ) as made:
        yield made.scheduler_address, folder


def test_a_killed_worker_changes_nothing(tmp_path: Path, cluster: tuple[str, Path], undisturbed: Path):
    address, log = cluster
    told = []
    result = sweep(tmp_path, scheduler=address, progress=lambda done, of: told.append(done))
    assert result == SweepResult(tmp_path, BLOCKS, BLOCKS * PLAN["draws"], tuple(range(BLOCKS)), ())
    assert told == list(range(BLOCKS + 1))
    assert calls(log)[3] == 2
    assert sweep_digest(tmp_path) == sweep_digest(undisturbed)


def test_a_cluster_goes_on_with_what_was_begun_here(
    tmp_path: Path, cluster: tuple[str, Path], undisturbed: Path
):
    sweep(tmp_path)
    for block in (1, 4):
        (tmp_path / f"part-{block:05d}.parquet").unlink()
    before = calls(cluster[1])
    assert sweep(tmp_path, scheduler=cluster[0]).computed == (1, 4)
    again = {block: count - before.get(block, 0) for block, count in calls(cluster[1]).items()}
    assert {block for block, count in again.items() if count} == {1, 4}
    assert sweep_digest(tmp_path) == sweep_digest(undisturbed)


def test_errors_come_back_from_a_cluster(
    tmp_path: Path, cluster: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
):
    address, _ = cluster
    with pytest.raises(ConvergenceError, match="Block 2 of 6: It did not converge"):
        sweep(tmp_path / "refusing", function="tests.sweep_work.refusing", scheduler=address)
    with pytest.raises(ZeroDivisionError) as fault:
        sweep(tmp_path / "broken", function="tests.sweep_work.broken", scheduler=address)
    assert "block 2" in fault.value.__notes__[-1]
    monkeypatch.setattr(parts, "_installed", lambda: {"numpy": "1.0"})
    with pytest.raises(
        InputError, match=r'The worker on .* other packages .*numpy \("[\d.]+" there, "1\.0" here\)'
    ):
        sweep(tmp_path / "other", scheduler=address)


def test_an_address_without_a_scheduler(tmp_path: Path):
    import dask

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with dask.config.set({"distributed.comm.timeouts.connect": "500ms"}):
        for address in (f"tcp://127.0.0.1:{port}", "nonsense://host:1"):
            with pytest.raises(InputError, match=f"No dask scheduler answers at `{address}`"):
                sweep(tmp_path, scheduler=address)


@pytest.mark.slow
def test_processes_of_this_machine_give_the_same(
    tmp_path: Path, log: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SWEEP_DIE", "1 4")
    sweep(tmp_path / "sweep", workers=2)
    assert sweep_digest(tmp_path / "sweep") == sweep_digest(undisturbed)
    assert {block for block, count in calls(log).items() if count > 1} >= {1, 4}


@pytest.mark.slow
def test_a_block_that_kills_every_worker_is_named(
    tmp_path: Path, log: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SWEEP_DEADLY", "5")
    with pytest.raises(DetenteError, match=r"Block 5 of 6: 4 workers died over it.*kept"):
        sweep(tmp_path / "sweep", workers=2)
    monkeypatch.delenv("SWEEP_DEADLY")
    assert 5 in sweep(tmp_path / "sweep").computed
    assert sweep_digest(tmp_path / "sweep") == sweep_digest(undisturbed)
