"""The cheapest pressure on a target, labelled: the frontier, what to cut next, and what in force presses least.

What is computed stands in `detente.design` and `detente.frontier`; this names it, compares it with rules of thumb and with
the measures of the catalogue, and checks the first-order ranking of these by solving without each.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from detente import labels
from detente.batch import solve_many
from detente.calibration import UNITS_IN_USD
from detente.design import MOST, InForce, Point, Task, along, in_force, task
from detente.economy import Economy
from detente.errors import InputError
from detente.frontier import Frontier, at_cost, curve, frontier, proportional, uniform, within
from detente.measure import Lifting
from detente.regime import Regime
from detente.scenario import BASELINE, Scenario

DIRECTIONS = ("exports", "imports")
RULES = {"uniform": uniform, "proportional": proportional}
LEAST = 0.1  # USD billion of trade a year, below which a flow is not listed
WORTH = 0.01  # USD billion a year, that ending a cut must give the senders for it to be listed
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One instrument, or one cut in force, to first order.

    trade: of the situation of departure, USD billion. loss, cost: of the target and of all senders together, for the whole
    flow (for a cut in force: what ending it would undo), USD billion; cut: the part in force.
    """

    sender: str
    direction: str
    sector: str
    trade: float
    loss: float
    cost: float
    cut: float = 0.0

    @property
    def per_dollar(self) -> float:
        """The target's loss for a dollar of the senders' cost; not a number where it costs them nothing."""
        return self.loss / self.cost if self.cost > 0 else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Plain data, with `per_dollar`, null where there is none."""
        return asdict(self) | {"per_dollar": self.per_dollar if self.cost > 0 else None}


@dataclass(frozen=True)
class LawRow:
    """One measure of the catalogue: what ending it alone would take off the target's loss and the senders' cost.

    loss, cost: to first order, USD billion; solved_loss, solved_cost: by solving without it, where that was done.
    """

    id: str
    sender: str
    title: str
    loss: float
    cost: float
    solved_loss: float | None = None
    solved_cost: float | None = None


@dataclass(frozen=True)
class Compared:
    """A point of the frontier and what rules of thumb reach for no more than its cost, None where they cost more."""

    price: float | None
    point: Point
    spread: float
    rules: dict[str, Point | None]


@dataclass(frozen=True)
class Plan:
    """What `plan` found. names: of each sender of `task`; groups: places of the senders named by the user."""

    task: Task
    target: str
    names: tuple[str, ...]
    groups: dict[str, tuple[int, ...]]
    against: str
    elasticities: str
    frontier: Frontier
    points: tuple[Compared, ...]
    curves: dict[str, tuple[Point, ...]]
    budget: float | None
    chosen: Compared | None
    rows: tuple[Row, ...]
    in_force: tuple[Row, ...]
    measures: tuple[LawRow, ...]

    def next_cuts(self, top: int = 10, least: float = LEAST) -> list[Row]:
        """Instruments with trade of at least `least`, the most pressure for a dollar of own cost first.

        Those that cost the senders nothing at the margin come before all others, the strongest first.
        """
        rows = [row for row in self.rows if row.trade >= least and row.loss > 0]
        return sorted(rows, key=lambda row: (row.cost > 0, -row.per_dollar if row.cost > 0 else -row.loss))[
            :top
        ]

    def wasteful(self, top: int = 10, worth: float = WORTH) -> list[Row]:
        """Cuts in force whose end gives the senders most for each dollar that it gives the target, in that order.

        Listed are those whose end gives the senders at least `worth`.
        """
        rows = [row for row in self.in_force if row.cost >= worth]
        return sorted(rows, key=lambda row: row.loss / row.cost)[:top]

    def relief(self, top: int = 10, worth: float = WORTH) -> list[LawRow]:
        """Measures of law in the same order: which ending helps the senders most for a dollar given to the target."""
        rows = [row for row in self.measures if row.cost >= worth]
        return sorted(rows, key=lambda row: row.loss / row.cost)[:top]

    def agreement(self) -> dict[str, float]:
        """Spearman's rank correlation of first order and whole solves: of the target's loss and the senders' cost.

        Empty where fewer than three measures were solved without.
        """
        solved = [row for row in self.measures if row.solved_loss is not None]
        if len(solved) < 3:
            return {}
        pairs = {
            "loss": ([row.loss for row in solved], [row.solved_loss for row in solved]),
            "cost": ([row.cost for row in solved], [row.solved_cost for row in solved]),
        }
        return {name: float(np.corrcoef(*map(rankdata, pair))[0, 1]) for name, pair in pairs.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain data; keys in docs/design.md."""

        def told(each: Compared) -> dict[str, Any]:
            rules = {
                name: None if at is None else {"loss": at.loss, "cost": at.cost}
                for name, at in each.rules.items()
            }
            return {"cost": each.point.cost, "loss": each.point.loss} | rules

        budget = None
        if self.chosen is not None:
            more = {"budget": self.budget, "by_sender": self.own(self.chosen.point)}
            budget = more | told(self.chosen)
        return {
            "target": self.target,
            "senders": {
                name: [self.names[place] for place in places] for name, places in self.groups.items()
            },
            "against": self.against,
            "elasticities": self.elasticities,
            "instruments": self.task.count,
            "trade": float(self.task.flows.value.sum()),
            "most": self.task.most,
            "frontier": [{"price": each.price, "spread": each.spread} | told(each) for each in self.points],
            "budget": budget,
            "next": [row.to_json() for row in self.next_cuts()],
            "in_force": [row.to_json() for row in self.wasteful()],
            "measures": [asdict(row) for row in self.measures],
            "agreement": self.agreement(),
        }

    def own(self, at: Point) -> dict[str, float]:
        """Cost to each sender as named, USD billion."""
        return {name: float(at.own[list(places)].sum()) for name, places in self.groups.items()}


def plan(
    economy: Economy,
    target: str,
    senders: str | Sequence[str],
    against: Any = "status-quo-2025",
    *,
    budget: float | None = None,
    as_one: bool = False,
    most: float = MOST,
    points: int = 9,
    starts: int = 3,
    seed: int = 0,
    check: int = 20,
    progress: Progress = lambda text: None,
) -> Plan:
    """The frontier of a target's loss against the senders' own cost, on top of the situation `against`.

    senders: countries or groups, several with commas between them. Each country has instruments of its own; as_one: each
    name given is one sender, whose members cut alike. budget: own cost in USD billion to spend best. most, starts, seed:
    see `detente.frontier.frontier`. check: so many measures of the catalogue are also taken out by solving anew, spread
    evenly over the first-order ranking; 0 for none. progress is told what is being done.
    Raises `InputError` for an unknown name, a target among the senders and a negative budget; what `solve` raises.
    """
    scenario, known = Scenario.load(against), list(economy.countries)
    place = known.index(_one(target, known))
    named = [name.strip() for name in senders.split(",")] if isinstance(senders, str) else list(senders)
    names, members, groups = _senders(named, known, as_one)
    money = economy.unit_value * UNITS_IN_USD.get(economy.unit, 1e9) / 1e9
    of = task(economy, scenario.shock(economy), place, members, most=most, money=money)
    found = frontier(of, points, starts, seed, progress)
    progress("Rules of thumb")
    curves = {name: curve(of, rule(of)) for name, rule in RULES.items()}

    def compared(price: float | None, at: Point, spread: float) -> Compared:
        reached = {name: at_cost(of, rule(of), curves[name], at.cost) for name, rule in RULES.items()}
        return Compared(price, at, spread, reached)

    on_it = tuple(compared(each.price, each.point, each.spread) for each in found.points)
    chosen = None
    if budget is not None:
        progress("The budget")
        chosen = compared(None, within(of, found, budget), 0.0)
    progress("Measures in force")
    measures = _measures(of, scenario, place, members, check) if scenario.regime else ()
    return Plan(
        of, known[place], names, groups, scenario.name, str(economy.provenance["elasticities"]["name"]), found, on_it,
        {name: tuple(each for _, each in along_it) for name, along_it in curves.items()}, budget, chosen,
        _rows(of, names, found), _in_force(of, names, scenario), measures,
    )  # fmt: skip


def _one(target: str, known: Sequence[str]) -> str:
    codes = labels.resolve_countries(target, known)
    if len(codes) != 1:
        raise InputError(f"The target `{target}` stands for {len(codes)} countries; expected one.")
    return codes[0]


def _senders(
    named: Sequence[str], known: list[str], as_one: bool
) -> tuple[tuple[str, ...], list[list[int]], dict[str, tuple[int, ...]]]:
    """Names of the senders, places of their members, and places of the senders that each given name has."""
    codes = {name: labels.resolve_countries(name, known) for name in named}
    if as_one:
        members = [[known.index(code) for code in each] for each in codes.values()]
        return tuple(codes), members, {name: (k,) for k, name in enumerate(codes)}
    single = list(dict.fromkeys(code for each in codes.values() for code in each))
    groups = {name: tuple(single.index(code) for code in each) for name, each in codes.items()}
    return tuple(single), [[known.index(code)] for code in single], groups


def _rows(of: Task, names: Sequence[str], found: Frontier) -> tuple[Row, ...]:
    flows, sectors = of.flows, of.economy.sectors
    return tuple(
        Row(
            names[int(flows.sender[k])],
            DIRECTIONS[0] if flows.exports[k] else DIRECTIONS[1],
            sectors[int(flows.good[k])],
            float(flows.value[k]),
            float(found.loss_slope[k]),
            float(found.cost_slope[k]),
        )
        for k in range(of.count)
    )


def _in_force(of: Task, names: Sequence[str], scenario: Scenario) -> tuple[Row, ...]:
    """The cuts that the situation makes, found by lifting all of it."""
    if scenario.name == BASELINE:
        return ()
    free = Scenario("free", measures=[Lifting(by="all")], base=scenario)
    found: InForce = in_force(of, free.shock(of.economy))
    trade = np.zeros(found.cut.shape)
    flows = of.flows
    np.add.at(trade, (flows.sender, 1 - flows.exports.astype(int), flows.good), flows.value)
    return tuple(
        Row(
            names[int(s)],
            DIRECTIONS[int(d)],
            of.economy.sectors[int(j)],
            *(float(values[s, d, j]) for values in (trade, found.loss, found.cost, found.cut)),
        )
        for s, d, j in np.argwhere(found.cut > 0)
    )


# Measures of law --------------------------------------------------------------------------------------------


def _measures(
    of: Task, scenario: Scenario, target: int, members: list[list[int]], check: int
) -> tuple[LawRow, ...]:
    """The senders' measures on the target that touch trade, and what ending each alone would undo."""
    assert scenario.regime is not None
    codes, regime = (of.economy.countries, of.economy.sectors), Regime.load()
    ours = np.zeros(of.economy.trade_share.shape[:2], bool)
    for each in members:
        ours[target, each] = ours[each, target] = True
    law = [
        measure
        for measure in regime.on(scenario.regime).measures
        if measure.reading
        and measure.sender != of.economy.countries[target]
        and regime.cells([measure.id], *codes)[ours].any()
    ]
    shocks = [
        Scenario(f"without {measure.id}", measures=[Lifting(by="all", id=measure.id)], base=scenario).shock(
            of.economy
        )
        for measure in law
    ]
    effects = -along(of, shocks)
    moving = np.flatnonzero(abs(effects).max(axis=1, initial=0) > 0)
    order = moving[np.argsort(-effects[moving, 0])]
    picked = order[np.unique(np.linspace(0, len(order) - 1, min(check, len(order))).round().astype(int))]
    solved = {int(k): pair for k, pair in zip(picked, _solved(of, [shocks[k] for k in picked]), strict=True)}
    return tuple(
        LawRow(
            law[k].id,
            law[k].sender,
            law[k].title,
            float(effects[k, 0]),
            float(effects[k, 1]),
            *solved.get(k, (None, None)),
        )
        for k in map(int, order)
    )


def _solved(of: Task, shocks: list) -> list[tuple[float, float]]:
    """What each shock in place of the departure takes off the target's loss and the senders' cost, by solving it."""
    if not shocks:
        return []
    income = solve_many(of.economy, shocks, names=("real_income_change",)).values["real_income_change"]
    before: NDArray = np.asarray(of.start.real_income_change)
    moved = income - before[:, None]
    return [
        (-float(of.weights(1.0, 0.0) @ moved[:, k]), -float(of.weights(0.0, 1.0) @ moved[:, k]))
        for k in range(len(shocks))
    ]
