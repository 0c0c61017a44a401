"""How long many solves take at once, beside single ones and another package: `python -m benchmarks.many`.

The embedded world, every coalition of ten senders (the EU27 as one bloc) that cuts its trade with Russia by nine tenths
both ways, every equilibrium condition to a relative residual of 1e-9. Times are those of the public calls, with the
shocks' arrays made, checked and turned into weights on the way; compilation is told apart. Peak memory is that of the
process up to the end of the batch, world and compiler included. A sample of the same scenarios is then solved one by one.

What the time of a block goes into is estimated from its parts, each timed alone: making the shocks ready, solving, and,
within that, the matrix products of one sweep and one step (`benchmarks.products`), times the most sweeps and steps that
any scenario of the block took; of each the fastest of some repeats, which other work on the machine disturbs least. The
products' rate is compared with that of a large square product.

Beside it the package sanction-simulator 0.1.4, if an interpreter that has it is given. It solves another model: the same
80 countries and 50 sectors, but flows balanced to margins and rationed, without prices.

On a machine with a CUDA device and JAX for it, the same command computes there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from benchmarks.products import best_rate, products_of_a_step, products_of_a_sweep, seconds_of
from benchmarks.solve import DIFFERENCE, TARGET, line, machine, timed, verdict
from detente.batch import BLOCK, Equilibria, solve_many, solve_stack
from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import solve
from detente.feasibility import components
from detente.labels import resolve_countries
from detente.search import baseline_preconditioner
from detente.shock import Shock
from detente.situation import external, situation
from detente.stack import stacked
from detente.world import World

MEMBERS = ("USA", "EU27", "GBR", "JPN", "CAN", "AUS", "KOR", "CHE", "NOR", "NZL")
CUT = 0.9
TOLERANCE = 1e-9
TOTAL_SECONDS, EACH_MS, PEAK_GIB = 10, 10, 4
SAMPLE = 20
PEER = "sanction-simulator==0.1.4"


def coalition_shocks(economy: Economy, members: Sequence[str], masks: Sequence[int]) -> Iterator[Shock]:
    """For each mask the shock of the coalition whose members are its bits (the first is the lowest).

    Members are codes or groups, which act as one. Those of the coalition cut trade in all goods with the target by `CUT`,
    both ways; the others change nothing.
    """
    target, n = economy.countries.index(TARGET), len(economy.countries)
    places = [
        [economy.countries.index(code) for code in resolve_countries(name, economy.countries)]
        for name in members
    ]
    for mask in masks:
        weight = np.ones((n, n, 1))
        for bit, senders in enumerate(places):
            if int(mask) >> bit & 1:
                weight[target, senders] = weight[senders, target] = 1 - CUT
        weight[target, target] = 1.0
        yield Shock(weight_change=weight)


def coalitions(members: Sequence[str], count: int | None) -> list[int]:
    """All masks in order, or a sample of so many, the same each time."""
    whole = 1 << len(members)
    if count is None or count >= whole:
        return list(range(whole))
    return sorted(np.random.default_rng(0).choice(whole, count, replace=False).tolist())


def batched(
    economy: Economy, members: Sequence[str], masks: Sequence[int], block: int
) -> tuple[float, Equilibria]:
    """Seconds and answers of the public call."""
    return timed(
        lambda: solve_many(
            economy, coalition_shocks(economy, members, masks), tolerance=TOLERANCE, block=block
        )
    )


def warm(economy: Economy, members: Sequence[str], masks: Sequence[int], block: int) -> float:
    """Compile for a block and for what remains after the last whole one; seconds that took."""
    first, rest = masks[:block], masks[len(masks) // block * block :]
    return sum(batched(economy, members, group, block)[0] for group in (first, rest) if group)


def peak_gib() -> float:
    """Most memory this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def together(
    economy: Economy, members: Sequence[str], masks: Sequence[int], block: int
) -> tuple[float, Equilibria]:
    """Print the batch's figures; returns its seconds and answers."""
    print(f"\ntogether, {block} side by side")
    before = peak_gib()
    first = warm(economy, members, masks, block)
    used = time.process_time()
    seconds, found = batched(economy, members, masks, block)
    used = time.process_time() - used
    count, each = len(masks), 1e3 * seconds / len(masks)
    line("first block, compilation included", f"{first:.1f} s")
    whole = f"target ≤ {TOTAL_SECONDS} s: {verdict(seconds <= TOTAL_SECONDS)}" if count >= 1024 else ""
    line(f"{count} equilibria", f"{seconds:.2f} s", whole)
    line("one equilibrium", f"{each:.2f} ms", f"target ≤ {EACH_MS} ms: {verdict(each <= EACH_MS)}")
    line(
        "  processor time",
        f"{1e3 * used / count:.2f} ms",
        "of all cores; what else runs on the machine is not in it",
    )
    line("equilibria per second", f"{count / seconds:.0f}")
    peak = peak_gib()
    note = (
        f"target < {PEAK_GIB} GiB: {verdict(peak < PEAK_GIB)}; {before:.2f} GiB of it before the first block"
    )
    line("peak memory of the process", f"{peak:.2f} GiB", note)
    line("solved", f"{int(found.converged.sum())}", f"{int(found.alone.sum())} of all {count} by themselves")
    if found.converged.any():
        there = found.converged
        line("  largest residual", f"{found.residual[there].max():.1e}", f"asked {TOLERANCE:.0e}")
        line(
            "  sweeps / outer steps, mean",
            f"{found.sweeps[there].mean():.1f} / {found.steps[there].mean():.1f}",
        )
        line("  sweeps / outer steps, most", f"{found.sweeps[there].max()} / {found.steps[there].max()}")
    return seconds, found


def other_blocks(
    economy: Economy, members: Sequence[str], masks: Sequence[int], sizes: Sequence[int]
) -> None:
    """Print the time of an equilibrium for other numbers side by side."""
    for size in sizes:
        warm(economy, members, masks, size)
        seconds, _ = batched(economy, members, masks, size)
        line(
            f"blocks of {size}",
            f"{1e3 * seconds / len(masks):.2f} ms",
            f"{seconds:.2f} s in all; peak memory so far {peak_gib():.2f} GiB",
        )


def bounds(economy: Economy, members: Sequence[str], masks: Sequence[int], block: int) -> None:
    """Print what the time of one block goes into."""
    group = masks[len(masks) // 2 :][:block]
    made = baseline_preconditioner(economy)

    def ready() -> Any:
        found = [situation(economy, shock) for shock in coalition_shocks(economy, members, group)]
        for at in found:
            components(economy, np.asarray(at.trade_weight), external(at))
        return stacked(found)

    stack = ready()
    preparing = min(timed(ready)[0] for _ in range(3))
    found = solve_stack(economy, stack, made, tolerance=TOLERANCE)
    solving = min(timed(lambda: solve_stack(economy, stack, made, tolerance=TOLERANCE))[0] for _ in range(5))
    sweep, operations = seconds_of(products_of_a_sweep(stack.situation, made, len(group)))
    step, more = seconds_of(products_of_a_step(stack.situation, made, len(group)))
    sweeps, steps = int(found.sweeps.max()), int(found.steps.max())
    parts = {
        "shocks, weights, stacking": preparing,
        "matrix products": sweeps * sweep + steps * step,
    }
    parts["everything else in the solve"] = max(solving - parts["matrix products"], 0.0)
    rate, best = (sweeps * operations + steps * more) / parts["matrix products"], best_rate()
    print(f"\nwhat one block of {len(group)} goes into")
    for name, seconds in parts.items():
        share = seconds / (preparing + solving)
        line(name, f"{share:.0%}", f"{1e3 * seconds / len(group):.2f} ms an equilibrium")
    line(
        "  products of one sweep",
        f"{1e3 * sweep:.2f} ms",
        f"einsums of the same shapes alone, × {sweeps} sweeps",
    )
    line(
        "  products of one step",
        f"{1e3 * step:.2f} ms",
        f"× {steps} steps; a block goes on to its slowest scenario",
    )
    line("  rate of these products", f"{rate:.1f} GFLOP/s", f"a large square product: {best:.1f} GFLOP/s")
    if parts["matrix products"] > solving:
        print(
            "  The products alone took longer than the solve they are part of: the machine is too busy for these shares."
        )
    longest = max(parts, key=lambda name: parts[name])
    line("bound by", longest)


def one_by_one(
    economy: Economy, members: Sequence[str], masks: Sequence[int], found: Equilibria, each: float
) -> None:
    """Print single warm solves of a sample, their ratio to the batch's seconds `each`, and how far answers differ."""
    places = np.unique(np.linspace(0, len(masks) - 1, min(SAMPLE, len(masks))).astype(int))
    chosen = [masks[place] for place in places]

    def alone(shock: Shock) -> NDArray:
        return np.asarray(solve(economy, shock, tolerance=TOLERANCE).real_income_change)

    for shock in islice(coalition_shocks(economy, members, chosen), 2):
        alone(shock)
    used = time.process_time()
    seconds, answers = timed(lambda: [alone(shock) for shock in coalition_shocks(economy, members, chosen)])
    single, used = seconds / len(chosen), (time.process_time() - used) / len(chosen)
    print(f"\none by one, {len(chosen)} of them, warm")
    line("one equilibrium", f"{1e3 * single:.2f} ms", f"{single / each:.1f} times as long as together")
    line("  processor time", f"{1e3 * used:.2f} ms")
    agreement(
        "largest difference of real income",
        found.values["real_income_change"][:, places],
        np.stack(answers, axis=-1),
    )


def agreement(label: str, one: NDArray, other: NDArray) -> None:
    """Print the largest difference of two arrays of ratios, and the digits that agree."""
    apart = float(np.abs(one - other).max())
    digits = -np.log10(max(apart, 1e-16))
    line(
        label,
        f"{apart:.1e}",
        f"{digits:.1f} digits; target ≤ {DIFFERENCE:.0e}: {verdict(apart <= DIFFERENCE)}",
    )


def peer(python: str, seconds: float, size: int, each: float) -> None:
    """Print the other package's figures and their ratio to seconds `each` of détente's."""
    print(f"\n{PEER}, embargoes between two countries that its own baseline goes through")
    command = [python, "-P", str(Path(__file__).with_name("peer.py")), str(seconds), str(size)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        told = getattr(problem, "stderr", None) or str(problem)
        print(f"  not measured: {told.strip().splitlines()[-1]}")
        return
    told = json.loads(done.stdout.splitlines()[-1])
    if not told:
        print(f"  {python} does not have it, and it is no dependency of ours. In an environment of its own:")
        print(f"  python -m venv peer && peer/bin/pip install {PEER}; then --peer-python peer/bin/python")
        return
    single = told["seconds"] / told["done"]
    line(
        "version",
        told["version"],
        f"{told['countries']} countries × {told['sectors']} sectors of the same OECD tables",
    )
    line(
        f"{told['done']} equilibria, {told['batch']} at a time",
        f"{told['seconds']:.1f} s",
        f"loading not counted ({told['loaded']:.1f} s)",
    )
    line("one equilibrium", f"{1e3 * single:.0f} ms", f"{single / each:.0f} times détente's together")
    line("steps of its fixed point, mean", f"{told['steps']:.1f}", f"{told['at_limit']} stopped at its limit")
    line(
        "its own largest miss",
        f"{told['miss']:.1e}",
        f"stops at {told['fixed_point']:.0e} absolute, its balancing at {told['margins']:.0e}",
    )
    print(
        "  Not the same model: flows between 4 000 country-sectors are balanced to given margins (RAS), what is left is\n"
        "  rationed among buyers; inputs substitute little, and there are no prices, wages or trade balances. Its\n"
        "  scenarios here are an embargo between two countries each, ours cuts between Russia and up to ten senders."
    )


def devices() -> bool:
    """Print where JAX computes; returns whether that is a CUDA device."""
    print(f"devices: {', '.join(str(device) for device in jax.devices())}")
    return jax.default_backend() in ("gpu", "cuda")


def beside_cpu(options: argparse.Namespace, masks: Sequence[int], found: Equilibria) -> None:
    """On a CUDA device print its memory and how far the processor's answers are; elsewhere say that there is none."""
    print("\nCUDA")
    if jax.default_backend() not in ("gpu", "cuda"):
        print("  no CUDA device that JAX can use: everything above was computed on the processor")
        return
    used = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    line("peak memory on the device", f"{used / 2**30:.2f} GiB")
    places = np.unique(np.linspace(0, len(masks) - 1, min(SAMPLE, len(masks))).astype(int))
    answers = on_processor(options.world, options.members, [masks[place] for place in places])
    agreement("from the processor's real income", found.values["real_income_change"][:, places], answers)


def on_processor(world: str | None, members: Sequence[str], masks: Sequence[int]) -> NDArray:
    """Real income [country, scenario] of some coalitions, solved in a process that sees no other device."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.npy"
        command = [
            sys.executable,
            "-m",
            "benchmarks.many",
            "--members",
            ",".join(members),
            "--answers",
            str(path),
        ]
        command += ["--masks", ",".join(map(str, masks)), *(["--world", world] if world else [])]
        subprocess.run(command, env=os.environ | {"JAX_PLATFORMS": "cpu"}, check=True, capture_output=True)
        return np.load(path, allow_pickle=False)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.many", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add(
        "--members",
        type=lambda text: tuple(text.split(",")),
        default=MEMBERS,
        help=f"senders, codes or groups, with commas (default {','.join(MEMBERS)})",
    )
    add("--n", type=int, help="how many of the coalitions, drawn at random (default all)")
    add(
        "--block",
        type=int,
        nargs="+",
        default=[BLOCK],
        help=f"scenarios side by side; further numbers are timed as well (default {BLOCK})",
    )
    add("--world", help="a world's file or name (default the embedded one)")
    add("--device", action="store_true", help="only say where JAX computes")
    add("--peer-python", default=sys.executable, help=f"an interpreter with {PEER} (default this one)")
    add("--peer-seconds", type=float, default=60, help="how long that package may go on (default 60)")
    add("--peer-batch", type=int, default=1, help="its scenarios at a time (default 1, its quickest)")
    add("--skip-peer", action="store_true", help="leave that package out")
    add("--answers", help=argparse.SUPPRESS)
    add("--masks", type=lambda text: [int(mask) for mask in text.split(",")], help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Print all figures."""
    options = options_of(arguments)
    if options.device:
        print(
            "computes on CUDA" if devices() else "no CUDA device that JAX can use: computes on the processor"
        )
        return 0
    economy = calibrate(World.load(options.world))
    members, block = options.members, options.block[0]
    if options.answers:
        found = batched(economy, members, options.masks, block)[1]
        np.save(options.answers, found.values["real_income_change"])
        return 0
    machine()
    devices()
    masks = coalitions(members, options.n)
    print(
        f"{len(economy.countries)} countries × {len(economy.sectors)} sectors; {len(masks)} coalitions of "
        f"{', '.join(members)} that cut trade with {TARGET} by {CUT:.0%} both ways; residual {TOLERANCE:.0e}"
    )
    seconds, found = together(economy, members, masks, block)
    other_blocks(economy, members, masks, options.block[1:])
    bounds(economy, members, masks, block)
    one_by_one(economy, members, masks, found, seconds / len(masks))
    beside_cpu(options, masks, found)
    if not options.skip_peer:
        peer(options.peer_python, options.peer_seconds, options.peer_batch, seconds / len(masks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
