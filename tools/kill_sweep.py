"""A sweep of draws killed twice by kill -9 and resumed, beside one that nobody disturbs: the same files to the byte.

    python -m tools.kill_sweep --draws 5000 --world tiny
    python -m tools.kill_sweep --draws 5000 --world embedded

Four sweeps of the same draws, each in a folder of its own: undisturbed in one process; killed twice and resumed; on a dask
cluster of two workers of this machine; on such a cluster, a worker of which is killed, then the whole run, and resumed.
A killed run gets SIGKILL once a share of its parts is there, at a moment within a block that chance decides.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from detente.ensemble import Ensemble
from detente.spread import DRAWS
from detente.sweep import sweep_digest

SCENARIO, AGAINST = "status-quo-2025-aggregate", "baseline"
POLL = 0.01  # seconds between looks at the folder
PARTS = "part-*.parquet"

RUN = """
import json, sys
from detente.ensemble import Ensemble
from detente.spread import run

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    made = Ensemble.of(given["scenario"], given["draws"], against=given["against"], world=given["world"])
    run(made, given["out"], workers=given["workers"])
"""


def main() -> int:
    """Run all four, print digests; 0 where they are equal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--world", default="tiny", help="tiny, energy, embedded, or a file")
    parser.add_argument("--scenario", default=SCENARIO)
    parser.add_argument("--against", default=AGAINST)
    parser.add_argument("--no-cluster", action="store_true", help="leave out the two on a dask cluster")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _compare(Path(folder), given)


def _compare(folder: Path, given: argparse.Namespace) -> int:
    program = folder / "run.py"
    program.write_text(RUN, "utf-8")
    asked = {"scenario": given.scenario, "against": given.against, "draws": given.draws, "world": given.world}
    blocks = Ensemble.of(given.scenario, given.draws, against=given.against, world=given.world).blocks
    print(
        f"{given.draws} draws in {blocks} blocks, world {given.world}, {given.scenario} against {given.against}"
    )
    kinds = {"undisturbed": (1, False), "killed twice": (1, True)}
    if not given.no_cluster:
        kinds |= {"two workers": (2, False), "two workers, one killed, then the run": (2, True)}
    digests = {}
    for name, (workers, disturbed) in kinds.items():
        out, start = folder / name.replace(" ", "-").replace(",", ""), time.perf_counter()
        command = Command(program, asked | {"out": str(out), "workers": workers}, out / DRAWS)
        told = _disturb(command, blocks, workers) if disturbed else []
        command.finish()
        digests[name] = sweep_digest(out / DRAWS)
        print(f"{name:40} {digests[name]}  {time.perf_counter() - start:6.1f} s", flush=True)
        for line in told:
            print(f"  {line}")
    same = len(set(digests.values())) == 1
    print("All are the same to the byte." if same else "THEY DIFFER.")
    return 0 if same else 1


def _disturb(command: "Command", blocks: int, workers: int) -> list[str]:
    """Kill twice: after a third and two thirds of the parts. With workers, a worker first, which the run survives."""
    told = []
    for number, share in enumerate((1 / 3, 2 / 3), start=1):
        if command.process is None:
            command.start()
        command.wait_for(max(1, int(share * blocks)))
        if workers > 1 and number == 1:
            told.append(
                f"kill -9 of a worker with {command.kill_worker()} of {blocks} parts there; the run went on"
            )
        else:
            told.append(f"kill -9 of the run with {command.kill()} of {blocks} parts there")
    return told


class Command:
    """A run in a process group of its own."""

    def __init__(self, program: Path, given: dict, folder: Path):
        self.call = [sys.executable, str(program), json.dumps(given)]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, or go on with what the folder has."""
        self.process = subprocess.Popen(self.call, start_new_session=True)

    def parts(self) -> int:
        """How many parts are there."""
        return len(list(self.folder.glob(PARTS)))

    def wait_for(self, parts: int) -> None:
        """Until so many parts are there. Raises `RuntimeError` where the run ends before."""
        while self.parts() < parts:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError("The run ended before it was to be killed. Ask for more draws.")
            time.sleep(POLL)

    def kill(self) -> int:
        """kill -9 of the process and all that it started; parts that were there."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for child in _group(self.process.pid):  # dask starts workers in groups of their own
            os.kill(child, signal.SIGKILL)
        self.process = None
        return self.parts()

    def kill_worker(self) -> int:
        """kill -9 of the child that has used most time: a worker; parts that were there."""
        assert self.process is not None
        os.kill(max(_children(self.process.pid), key=_time_used), signal.SIGKILL)
        return self.parts()

    def finish(self) -> None:
        """Start where it does not run, and wait. Raises `CalledProcessError` where it fails."""
        if self.process is None:
            self.start()
        assert self.process is not None
        code = self.process.wait()
        if code:
            raise subprocess.CalledProcessError(code, self.call)


def _fields(pid: int) -> list[str]:
    """Of /proc/PID/stat after the name: state, parent, group, session, …; none where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _children(pid: int) -> list[int]:
    """Processes that this one started, and theirs."""
    own = [each for each in _pids() if (found := _fields(each)) and int(found[1]) == pid]
    return own + [other for each in own for other in _children(each)]


def _group(session: int) -> list[int]:
    """What is left of the session that a process led."""
    return [each for each in _pids() if (found := _fields(each)) and int(found[3]) == session]


def _time_used(pid: int) -> int:
    found = _fields(pid)
    return int(found[11]) + int(found[12]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
