"""Work for sweeps in tests: cheap, and the same for the same plan and block.

It must be importable by name in other processes. Where the environment names a folder in `SWEEP_LOG`, each call leaves a
file there, and a process that begins a block listed in `SWEEP_DIE` (first call) or `SWEEP_DEADLY` (any call) is
killed as by kill -9. The plan knows nothing of this: results are those of an undisturbed run.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detente.errors import ConvergenceError


def _listed(variable: str, block: int) -> bool:
    return str(block) in os.environ.get(variable, "").split()


def _disturb(block: int) -> None:
    log = os.environ.get("SWEEP_LOG")
    if not log:
        return
    earlier = len(list(Path(log).glob(f"{block}-*")))
    Path(log, f"{block}-{time.time_ns()}-{os.getpid()}").touch()
    if _listed("SWEEP_DEADLY", block) or (_listed("SWEEP_DIE", block) and not earlier):
        os.kill(os.getpid(), signal.SIGKILL)


def draws(plan: dict[str, Any], block: int) -> pd.DataFrame:
    """Draws of one block: number of the draw, two normal numbers, a code and a name."""
    _disturb(block)
    size = plan["draws"]
    numbers = np.random.default_rng([plan["seed"], block]).standard_normal((size, 2))
    numbers[0, 1] = np.nan
    return pd.DataFrame(
        {
            "draw": block * size + np.arange(size),
            "first": numbers[:, 0],
            "second": numbers[:, 1],
            "solved": numbers[:, 0] > -1,
            "name": [("low", "high")[int(value > 0)] for value in numbers[:, 0]],
        }
    )


def arrays(plan: dict[str, Any], block: int) -> dict[str, np.ndarray]:
    """The same as a mapping of arrays."""
    return {str(name): column.to_numpy() for name, column in draws(plan, block).items()}


def refusing(plan: dict[str, Any], block: int) -> pd.DataFrame:
    """Block 2 has no solution."""
    if block == 2:
        raise ConvergenceError("It did not converge.")
    return draws(plan, block)


def broken(plan: dict[str, Any], block: int) -> pd.DataFrame:
    """Block 2 has a fault of the program."""
    return pd.DataFrame({"x": [1 / (2 - block)]})


def uneven(plan: dict[str, Any], block: int) -> pd.DataFrame:
    """Block 1 lacks a column."""
    return draws(plan, block).drop(columns="name" if block == 1 else [])


def misshapen(plan: dict[str, Any], block: int) -> Any:
    """What the plan says instead of columns of numbers."""
    return {
        "number": 5,
        "lengths": {"x": np.ones(2), "y": np.ones(3)},
        "missing": {"x": ["a", None]},
        "dates": {"x": np.array(["2024-01-01"], "datetime64[D]")},
        "mixed": {"x": np.array([1, "a"], object)},
        "square": {"x": np.ones((2, 2))},
    }[plan["kind"]]
