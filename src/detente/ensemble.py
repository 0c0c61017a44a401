"""One question under many draws of the parameters, as blocks that any machine can compute from a plan.

A plan is JSON and holds all that the results follow from: the scenario and the situation compared with (their content),
the world by name and digest, elasticities, closure, ranges, number, seed and method of the draws.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detente.batch import Equilibria, solve_many
from detente.calibration import (
    DEFAULT_CLOSURE,
    DEFAULT_ELASTICITIES,
    UNITS_IN_USD,
    Elasticities,
    calibrate,
    read_elasticities,
)
from detente.draws import LATIN, SALTELLI, Draws, draw
from detente.economy import Economy
from detente.equilibrium import TOLERANCE
from detente.errors import DetenteError, InputError
from detente.horizon import shipped
from detente.many import spaced
from detente.ranges import Ranges
from detente.scenario import Scenario, several
from detente.scenario_plain import plain, read
from detente.shock import Shock
from detente.uncertainty import behaving, placed
from detente.world import World

BLOCK = 32  # draws solved side by side, and kept or lost together
EMBEDDED = "embedded"
WORK = "detente.ensemble.work"
NAMES = ("real_income_change", "income")


@dataclass(frozen=True)
class Ensemble:
    """A scenario and what it is compared with, and the draws of parameters that both are solved for.

    world: a name or path as `World.load` takes it, or `embedded`; elasticities: {sector: θ}, named `elasticity_set`;
    n, seed, method: as `draws.draw` takes them. `Ensemble.of` fills in what is left out.
    """

    before: Scenario
    after: Scenario
    ranges: Ranges = field(repr=False)
    n: int
    seed: int
    method: str
    world: str
    elasticities: Mapping[str, float] = field(repr=False)
    elasticity_set: Sequence[str]
    deficits: str
    sourcing: str
    tolerance: float
    block: int = BLOCK

    @classmethod
    def of(
        cls,
        scenario: "str | Mapping[str, Any] | Scenario",
        n: int,
        *,
        against: "str | Mapping[str, Any] | Scenario | None" = None,
        ranges: "str | Mapping[str, Any] | Ranges | None" = None,
        parameters: Sequence[str] = (),
        seed: int = 0,
        method: str = LATIN,
        world: str | None = None,
        elasticities: Elasticities = DEFAULT_ELASTICITIES,
        deficits: str = DEFAULT_CLOSURE,
        sourcing: str = "common",
        tolerance: float = TOLERANCE,
        block: int = BLOCK,
    ) -> "Ensemble":
        """What is asked. ranges: as `Ranges.load` takes them, left out those of the scenario's horizon, else of `long`;
        parameters: which are drawn, left out all that change something in this world.

        Raises `InputError` for what cannot be used, a scenario with possible outcomes among it.
        """
        after = Scenario.load(scenario)
        before = Scenario.load(after.against if against is None else against)
        for side in (before, after):
            if side.outcomes:
                raise InputError(f"Draws are made for two situations, and {several(side, 'situation')}")
        name = world or after.world or before.world or EMBEDDED
        sectors = _world(name).sectors
        known, cited, theta = read_elasticities(elasticities, sectors)
        chosen = _chosen(
            Ranges.load(ranges or after.horizon or before.horizon or "long"), parameters, sectors
        )
        values = dict(zip(sectors, theta.tolist(), strict=True))
        how = (int(n), int(seed), method, name, values, (known, cited), deficits, sourcing, tolerance, block)
        if method == SALTELLI and n < 2:
            raise InputError(
                f"A ranking needs at least 2 base points; {n} is too few. Some hundred say something."
            )
        made = cls(before, after, chosen, *how)
        _ = made.draws  # refuses a wrong number, seed or method before anything is computed
        return made

    def to_plan(self) -> dict[str, Any]:
        """All that the results follow from, as JSON data."""
        return {
            "before": plain(self.before),
            "after": plain(self.after),
            "world": {"name": self.world, "digest": digest(_world(self.world))},
            "elasticities": {"set": list(self.elasticity_set), "values": dict(self.elasticities)},
            "deficits": self.deficits,
            "sourcing": self.sourcing,
            "ranges": _ranges(self.ranges),
            "draws": {"n": self.n, "seed": self.seed, "method": self.method, "block": self.block},
            "tolerance": self.tolerance,
            "columns": self.columns,
        }

    @classmethod
    def of_plan(cls, plan: Mapping[str, Any]) -> "Ensemble":
        """The same again, here. Raises `InputError` where the world of this name is another one."""
        given, name = plan["draws"], plan["world"]["name"]
        if digest(_world(name)) != plan["world"]["digest"]:
            raise InputError(
                f"The world `{name}` is not the one that the run began with: its digest differs. Give every machine the "
                "same file, or the same version of détente."
            )
        return cls(
            before=read(plan["before"]),
            after=read(plan["after"]),
            ranges=Ranges.load(plan["ranges"]),
            n=given["n"],
            seed=given["seed"],
            method=given["method"],
            world=name,
            elasticities=plan["elasticities"]["values"],
            elasticity_set=plan["elasticities"]["set"],
            deficits=plan["deficits"],
            sourcing=plan["sourcing"],
            tolerance=plan["tolerance"],
            block=given["block"],
        )

    @cached_property
    def draws(self) -> Draws:
        """The draws, the same on every machine."""
        return draw(self.ranges, self.n, self.seed, self.method)

    @cached_property
    def economy(self) -> Economy:
        """The world at the horizon `long`, before any draw."""
        return calibrate(_world(self.world), dict(self.elasticities), self.deficits, "long", self.sourcing)

    @cached_property
    def _first(self) -> Economy:
        """That of the first draw, whose linear response all blocks share: they need none of their own."""
        return behaving(self.draws[0], self.economy, self.ranges)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.draws) // self.block)

    @property
    def countries(self) -> list[str]:
        """Codes of the world's countries."""
        return list(_world(self.world).countries)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of a block, in order."""
        by_country = [f"{name}_{code}" for name in BY_COUNTRY for code in self.countries]
        return ["draw", *self.ranges.drawn, "result_before", "result", "residual", "message", *by_country]

    def rows(self, block: int) -> dict[str, NDArray]:
        """One row a draw of a block: its values, how both solves ended, and results by country, NaN where there is none.

        real_income_… in percent, equivalent_variation_… and income_before_… in the world's money (USD billion).
        """
        first = block * self.block
        numbers = np.arange(first, min(first + self.block, len(self.draws)))
        found = self._solve(numbers.tolist())
        count = len(numbers)
        message = [
            one or other for one, other in zip(found.message[:count], found.message[count:], strict=True)
        ]
        result, residual = found.result.reshape(2, count), found.residual.reshape(2, count)
        gained, gaining = (found.values["real_income_change"][:, part] for part in _halves(count))
        lost = (result > 0).any(axis=0)
        change = np.where(lost, np.nan, gaining / gained - 1)
        income = np.where(lost, np.nan, found.values["income"][:, :count]) * _unit(self.economy)
        results = dict(zip(BY_COUNTRY, (100 * change, income * change, income), strict=True))
        values = {"draw": numbers}
        values |= {name: self.draws.values[numbers, k] for k, name in enumerate(self.ranges.drawn)}
        values |= {"result_before": result[0], "result": result[1], "residual": residual.max(axis=0)}
        values |= {"message": np.array(message, object)}
        for name, array in results.items():
            values |= {f"{name}_{code}": array[k] for k, code in enumerate(self.countries)}
        return values

    def _solve(self, numbers: Sequence[int]) -> Equilibria:
        """All draws of the situation compared with, then all of the scenario; what cannot be a shock is refused by name."""
        economies = [behaving(self.draws[k], self.economy, self.ranges) for k in numbers]
        shocks: list[Shock | str] = [""] * (2 * len(numbers))
        for k, (number, economy) in enumerate(zip(numbers, economies, strict=True)):
            for half, side in enumerate((self.before, self.after)):
                try:
                    shocks[half * len(numbers) + k] = placed(self.draws[number], side).shock(economy)
                except DetenteError as problem:
                    shocks[half * len(numbers) + k] = str(problem)
        pairs = [
            (economies[k % len(numbers)], each) for k, each in enumerate(shocks) if isinstance(each, Shock)
        ]
        refused = {k: each for k, each in enumerate(shocks) if isinstance(each, str)}
        found = solve_many(self._first, pairs, names=NAMES, tolerance=self.tolerance, block=len(numbers))
        return spaced(found, refused, len(shocks), len(self.countries))


BY_COUNTRY = ("real_income", "equivalent_variation", "income_before")


def work(plan: Mapping[str, Any], block: int) -> dict[str, NDArray]:
    """The rows of a block of an ensemble's plan, for `sweep.run_sweep`."""
    return _ensemble(json.dumps(plan, sort_keys=True)).rows(block)


def digest(world: World) -> str:
    """SHA-256 over the codes and flows of a world."""
    found = hashlib.sha256(json.dumps([list(world.countries), list(world.sectors)]).encode())
    for name in sorted(map(str, world.data.data_vars)):
        array = world.data[name]
        found.update(json.dumps([name, list(map(str, array.dims))]).encode())
        found.update(np.ascontiguousarray(array.values, "<f8").tobytes())
    return found.hexdigest()


@lru_cache(maxsize=1)
def _ensemble(plan: str) -> Ensemble:
    return Ensemble.of_plan(json.loads(plan))


@lru_cache(maxsize=2)
def _world(name: str) -> World:
    return World.load(None if name == EMBEDDED else name)


def _halves(count: int) -> tuple[slice, slice]:
    return slice(0, count), slice(count, 2 * count)


def _unit(economy: Economy) -> float:
    """World factor income in USD billion, or in the world's own unit where that is no dollar."""
    return economy.unit_value * UNITS_IN_USD.get(economy.unit, 1e9) / 1e9


def _chosen(ranges: Ranges, parameters: Sequence[str], sectors: Sequence[str]) -> Ranges:
    """Those asked for, which must change something here; else all that do."""
    if not parameters:
        return ranges.fitting(sectors)
    chosen = ranges.select(list(parameters))
    idle = chosen.idle(sectors)
    if idle:
        raise InputError(f"`{idle[0]}` has no effect: this world has no such sector. Leave it out.")
    return chosen


def _ranges(ranges: Ranges) -> dict[str, Any]:
    """Ranges as `Ranges.load` takes them. Raises `InputError` for a horizon that other machines do not know."""
    if ranges.horizon.name not in shipped() or ranges.horizon.overrides:
        raise InputError(
            f"Draws need a horizon that ships, and `{ranges.horizon.told}` is none. Name one as `base`, and give values of "
            "your own as ranges (docs/uncertainty.md)."
        )
    keys = ("distribution", "low", "central", "high", "source", "verification")
    rows = {name: {key: getattr(ranges.rows[name], key) for key in keys} for name in ranges.drawn}
    return {
        "base": ranges.horizon.name,
        "parameters": rows,
        "drawn": list(ranges.drawn),
        "elasticity_sets": list(ranges.elasticity_sets),
    }
