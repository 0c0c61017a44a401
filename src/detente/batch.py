"""Many equilibria of one world at once, each solved as `detente.equilibrium.solve` would.

Scenarios are solved in blocks, side by side on the last axis of every array: what they share is read once for all of
them.
Memory grows with the block. What cannot go along (price caps and other instruments, worlds that fall apart) or does not
converge beside the others is solved by itself; what fails has a code and a message, and the others do not notice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Equilibrium, Result, derived, final_part, settle, solve
from detente.errors import ConvergenceError, DetenteError, InfeasibleError
from detente.feasibility import components, refuse_stranded
from detente.response import Preconditioner
from detente.search import baseline_preconditioner
from detente.shock import Shock
from detente.situation import external, situation
from detente.solver import solve as drive
from detente.stack import ALIKE, Mixture, Shape, Stack, stacked, with_fields, with_own
from detente.system import Point, TradeSystem, residual, start, system
from detente.terms import Situation
from detente.together import solve_together
from detente.trailing import along_last, one_by_one

BLOCK = 32  # scenarios side by side; more of them fall out of the processor's cache
FEW = 16  # scenarios up to which one after the other is quicker; with stuck factors any number is, on a CPU
COUNTRY = (
    "real_income_change", "income", "consumer_price_change", "wage_change", "deficit", "foreign_income",
    "tariff_revenue", "export_tax_revenue", "rent", "margin_income",
)  # fmt: skip
SECTOR = ("factor_price_change", "price_change", "cost_change", "value_added", "output", "spending")


@dataclass(frozen=True)
class Equilibria:
    """Solved situations. Each array of `values` has the scenario on its last axis, and NaN where there is no solution.

    values: by name of a field of `Equilibrium`, [country, scenario] or [country, sector, scenario]. result [scenario]:
    codes of `Result`; message: why there is no solution, or ""; residual, steps, sweeps [scenario]; alone [scenario]:
    whether it was solved by itself.
    """

    values: dict[str, NDArray]
    result: NDArray[np.int64]
    message: tuple[str, ...]
    residual: NDArray
    steps: NDArray[np.int64]
    sweeps: NDArray[np.int64]
    alone: NDArray[np.bool_]

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each scenario was solved to the tolerance [scenario]."""
        return self.result == Result.SOLVED

    def __len__(self) -> int:
        return len(self.result)


class _One:
    """What came of one scenario, as arrays without an axis."""

    def __init__(self, names: Sequence[str], found: Equilibrium | None, code: Result, message: str = ""):
        self.values = {} if found is None else {name: np.asarray(getattr(found, name)) for name in names}
        self.code, self.message = code, message
        self.residual = np.nan if found is None else found.residual
        self.steps, self.sweeps = (0, 0) if found is None else (found.steps, found.sweeps)


def solve_many(
    economy: Economy,
    shocks: Iterable[Shock | tuple[Economy, Shock]],
    *,
    names: Sequence[str] = COUNTRY,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    max_steps: int = 80,
    shape: Shape = ALIKE,
    progress: Callable[[int], None] | None = None,
) -> Equilibria:
    """The equilibria that many shocks lead to; arrays with the scenario on the last axis.

    shocks: a sequence or generator (read block by block) of shocks, or of pairs (economy, shock) where behaviour
    differs:
        economies of the same baseline and kinds of behaviour as `economy` (`Economy.with_behaviour`).
    names: which fields of `Equilibrium` to keep, of `COUNTRY` and `SECTOR`.
    shape: what is held apart in any case, for calls that recur (`stack.Shape`).
    progress: called with the number of scenarios done after each block.
    Nothing is raised for a scenario without a solution: see `Equilibria.result`. Raises `ValueError` for an unknown
    name.
    """
    unknown = set(names) - set(COUNTRY) - set(SECTOR)
    if unknown:
        raise ValueError(f"Unknown names {sorted(unknown)}; known: {', '.join(COUNTRY + SECTOR)}.")
    made = baseline_preconditioner(economy)
    parts, done = [], 0
    for group in _blocks(shocks, block):
        pairs = [each if isinstance(each, tuple) else (economy, each) for each in group]
        parts.append(_solve_group(pairs, made, (tuple(names), tolerance, max_steps), block, shape))
        done += len(pairs)
        if progress is not None:
            progress(done)
    return joined(parts, names)


def _blocks(items: Iterable, size: int) -> Iterator[list]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def _solve_group(
    pairs: Sequence[tuple[Economy, Shock]],
    made: Preconditioner,
    how: tuple[tuple[str, ...], float, int],
    block: int,
    shape: Shape,
) -> Equilibria:
    names, tolerance, _ = how
    ready: dict[int, Situation] = {}
    alone: dict[int, _One] = {}
    for k, (economy, shock) in enumerate(pairs):
        try:
            if shock.instruments:
                alone[k] = by_itself(economy, shock, names, tolerance)
                continue
            at = situation(economy, shock)
            if components(economy, np.asarray(at.trade_weight), external(at)).any():
                alone[k] = by_itself(economy, shock, names, tolerance)
            else:
                ready[k] = at
        except DetenteError as problem:
            alone[k] = _refused(names, problem)
    found = None
    if ready:
        economy = pairs[0][0]
        filled = list(ready.values())
        filled += [filled[0]] * (_recurring(len(filled), block) - len(filled))
        found = solve_stack(economy, stacked(filled, shape), made, *how)
        for place, k in enumerate(ready):
            if not found.residual[place] <= tolerance:
                alone[k] = by_itself(*pairs[k], names, tolerance)
    return _merged(found, list(ready), alone, names, pairs[0][0])


def solve_ready(
    pairs: Sequence[tuple[Economy, Shock]],
    stack_of: Callable[[Sequence[int]], Stack],
    made: Preconditioner,
    *,
    names: Sequence[str] = COUNTRY,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    begin: Point | None = None,
) -> Equilibria:
    """As `solve_many`, where stacks are made elsewhere: `stack_of(places)` is that of some of the pairs.

    Every scenario is taken to have a supplier for all and to hold together. begin: where to start, with the scenario on the
    last axis; left out, at the baseline. What the stack refuses or does not converge is solved by itself.
    """
    parts = []
    for first in range(0, len(pairs), block):
        here = list(range(first, min(first + block, len(pairs))))
        filled = here + [here[0]] * (_recurring(len(here), block) - len(here))
        try:
            stack = stack_of(filled)
        except DetenteError:
            alone = {p: by_itself(*pairs[k], names, tolerance) for p, k in enumerate(here)}
            parts.append(_merged(None, [], alone, names, pairs[0][0]))
            continue
        point = (
            None if begin is None else (begin[0][..., filled], begin[1][..., filled], begin[2][..., filled])
        )
        found = solve_stack(
            pairs[0][0], stack, made, tuple(names), tolerance, begin=point, own=begin is not None
        )
        failed = [p for p in range(len(here)) if not found.residual[p] <= tolerance]
        alone = {p: by_itself(*pairs[here[p]], names, tolerance) for p in failed}
        parts.append(_merged(found, list(range(len(here))), alone, names, pairs[0][0]))
    return joined(parts, names)


def solve_mixture(
    economy: Economy,
    mixture: Mixture,
    intensity: NDArray,
    *,
    own: Mapping[str, NDArray] | None = None,
    names: Sequence[str] = COUNTRY,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    progress: Callable[[int], None] | None = None,
) -> Equilibria:
    """The equilibria between two situations, at intensities [owner, scenario]; the rest as in `solve_many`.

    own: what each scenario has besides weights (`stack.with_own`), scenarios last. Every scenario is taken to have a
    supplier for all and to hold together: see `holds_together`. What does not converge beside the others is solved by
    itself.
    """
    made, parts = baseline_preconditioner(economy), []
    for begin in range(0, intensity.shape[-1], block):
        count = min(block, intensity.shape[-1] - begin)
        more = _recurring(count, block) - count
        filled = np.concatenate([np.arange(begin, begin + count), np.full(more, begin)])
        stack = with_own(mixture.at(intensity[:, filled]), _of(own, filled))
        found = solve_stack(economy, stack, made, tuple(names), tolerance)
        failed = [k for k in range(count) if not found.residual[k] <= tolerance]
        alone = {
            k: _settled(
                economy,
                with_fields(mixture.single(intensity[:, begin + k]), _of(own, begin + k)),
                names,
                tolerance,
            )
            for k in failed
        }
        parts.append(_merged(found, list(range(count)), alone, names, economy))
        if progress is not None:
            progress(begin + count)
    return joined(parts, names)


def holds_together(economy: Economy, mixture: Mixture) -> bool:
    """Whether no scenario between two situations leaves a user without supplier, or a country cut off.

    Both are asked of the lower of the two weights of every flow: where there is trade enough at these, there is at all
    between them.
    """
    lowest = mixture.lowest()
    uses, n = lowest.shape[1] // lowest.shape[2], lowest.shape[2]
    try:
        refuse_stranded(economy, lowest.transpose(1, 2, 0).reshape(uses, n, n, -1))
        return not components(economy, lowest, external(mixture.keep)).any()
    except DetenteError:
        return False


def _of(own: Mapping[str, NDArray] | None, scenarios: NDArray | int) -> dict[str, NDArray]:
    """What some scenarios have besides weights."""
    return {name: values[..., scenarios] for name, values in (own or {}).items()}


def _settled(economy: Economy, at: Situation, names: Sequence[str], tolerance: float) -> _One:
    """One situation by the single solver with all it can try."""
    try:
        found = settle(economy, at, tolerance)
    except DetenteError as problem:
        return _refused(names, problem)
    return _one(names, found)


def _recurring(count: int, most: int) -> int:
    """The smallest power of two that holds `count`, at most `most`: few shapes are compiled."""
    return min(most, 1 << (count - 1).bit_length())


def by_itself(economy: Economy, shock: Shock, names: Sequence[str], tolerance: float) -> _One:
    """One scenario by the single solver with all it can try."""
    try:
        found = solve(economy, shock, tolerance=tolerance, throw=False)
    except DetenteError as problem:
        return _refused(names, problem)
    return _one(names, found)


def _one(names: Sequence[str], found: Equilibrium) -> _One:
    return _One(
        names,
        found if found.converged else None,
        found.result,
        "" if found.converged else found.result.message,
    )


def _refused(names: Sequence[str], problem: DetenteError) -> _One:
    code = Result.REFUSED
    if isinstance(problem, InfeasibleError):
        code = Result.INFEASIBLE
    elif isinstance(problem, ConvergenceError):
        code = Result.NOT_CONVERGED
    return _One(names, None, code, str(problem))


def solve_stack(
    economy: Economy,
    stack: Stack,
    made: Preconditioner,
    names: tuple[str, ...] = COUNTRY,
    tolerance: float = TOLERANCE,
    max_steps: int = 80,
    begin: Point | None = None,
    own: bool = False,
) -> Equilibria:
    """The equilibria of a stack, one attempt each from `begin` (left out, the baseline), whatever the residual.

    own: whether `begin` has the scenario on a last axis.
    """
    label = np.zeros(len(economy.countries), int)
    of = system(stack.situation, label)
    flags = (*stack.has_axis, False, False)  # the component's arrays are shared
    point = start(economy, stack.situation) if begin is None else begin
    income, final = economy.income, final_part(economy)
    values, gap, steps, sweeps = _solved(
        of, point, made, tolerance, income, final, (flags, own), names, max_steps
    )
    gap = np.asarray(gap)
    code = np.where(gap <= tolerance, Result.SOLVED, Result.NOT_CONVERGED)
    code = np.where(np.isfinite(gap), code, Result.NOT_FINITE).astype(int)
    return Equilibria(
        values={name: np.asarray(value) for name, value in values.items()},
        result=code,
        message=tuple("" if k == Result.SOLVED else Result(k).message for k in code),
        residual=gap,
        steps=np.asarray(steps).astype(int),
        sweeps=np.asarray(sweeps).astype(int),
        alone=np.zeros(len(gap), bool),
    )


@partial(jax.jit, static_argnames=("axes", "names", "max_steps"))
def _solved(
    of: TradeSystem,
    begin: Point,
    made: Preconditioner,
    tolerance: float,
    income: Array,
    final: Array | None,
    axes: tuple[tuple[bool, ...], bool],
    names: tuple[str, ...],
    max_steps: int,
) -> tuple[dict[str, Array], Array, Array, Array]:
    """Values by name, residual, steps and sweeps of every scenario; axes: of the system's leaves, and of `begin`."""
    has_axis = jax.tree.unflatten(jax.tree.structure(of), axes[0])

    def one(of: TradeSystem, begin: Point, made: Preconditioner):
        if made.tail is None:
            state = drive(of, begin, made, tolerance, max_steps=max_steps)
            point, steps, sweeps = (state.outer, state.first, state.second), state.steps, state.sweeps
        else:
            end = solve_together(of, begin, made, tolerance, max_steps=max_steps)
            point, steps, sweeps = end.point, end.steps, end.sweeps
        known = derived(of.unknowns(point), of.situation, income, final)
        return {name: known[name] for name in names}, residual(point, of), steps, sweeps

    flags = (*axes[0], *(axes[1],) * len(begin))
    size = next(
        leaf.shape[-1] for leaf, mark in zip(jax.tree.leaves((of, begin)), flags, strict=True) if mark
    )
    apart = size <= FEW or (made.tail is not None and jax.default_backend() == "cpu")
    return (one_by_one if apart else along_last)(one, (has_axis, axes[1], False))(of, begin, made)


def _merged(
    found: Equilibria | None, ready: list[int], alone: dict[int, _One], names: Sequence[str], economy: Economy
) -> Equilibria:
    """Results in the order of the scenarios: those of the stack, and in their stead those solved by themselves."""
    place = {k: p for p, k in enumerate(ready)}
    order = range(len({*ready, *alone}))

    def value(k: int, name: str) -> NDArray:
        if k not in alone:
            assert found is not None
            return found.values[name][..., place[k]]
        shape = economy.output.shape if name in SECTOR else economy.value_added.shape
        return alone[k].values.get(name, np.full(shape, np.nan))

    def fact(k: int, name: str, other: str):
        return getattr(alone[k], other) if k in alone else getattr(found, name)[place[k]]

    return Equilibria(
        values={name: np.stack([value(k, name) for k in order], axis=-1) for name in names},
        result=np.array([int(fact(k, "result", "code")) for k in order]),
        message=tuple(fact(k, "message", "message") for k in order),
        residual=np.array([fact(k, "residual", "residual") for k in order], float),
        steps=np.array([fact(k, "steps", "steps") for k in order], int),
        sweeps=np.array([fact(k, "sweeps", "sweeps") for k in order], int),
        alone=np.array([k in alone for k in order]),
    )


def joined(parts: Sequence[Equilibria], names: Sequence[str] = COUNTRY) -> Equilibria:
    """Blocks one after the other."""
    if not parts:
        none = np.zeros(0)
        count = none.astype(int)
        return Equilibria(dict.fromkeys(names, none), count, (), none, count, count, none > 0)
    facts = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("result", "residual", "steps", "sweeps", "alone")
    }
    values = {
        name: np.concatenate([part.values[name] for part in parts], axis=-1) for name in parts[0].values
    }
    return Equilibria(values=values, message=sum((part.message for part in parts), ()), **facts)
