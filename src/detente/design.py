"""Cuts of trade with a target as variables: what they take from the target, what they cost the senders, and the slopes.

An instrument is a fraction x in [0, most] of the weight κ̂^(−θ) of its flows that is removed, so that M = 1 − x of it is
left. Loss and cost are equivalent variations against the situation of departure, EV_n = I_n (Ŵ_n − 1): the loss is −EV of
the target, the cost −Σ EV of the senders. A weighted sum of both has its slopes from one adjoint solve,
∂J/∂x = −Σ π ∂J/∂(π M) over the instrument's flows (`detente.adjoint`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.adjoint import (
    ACCURACY,
    WEIGHT,
    Differentiable,
    Levers,
    differentiable,
    gradient,
    ground_of,
    reweighed,
)
from detente.economy import Economy
from detente.equilibrium import Equilibrium, settle, solve
from detente.errors import InputError
from detente.shock import Shock

MOST = 0.95  # of a flow's weight, that a cut removes
STEERING = 1e-6  # accuracy of the linear solve behind slopes that steer a search, which values decide


class Flows(NamedTuple):
    """The flows between senders and target, and the instrument that each belongs to.

    importer, exporter, sector [flow]: places; sender, exports [instrument]: whose instrument, and whether it cuts what
    they sell; instrument [flow]; value [instrument]: trade in the situation of departure, in money, net of duties.
    """

    importer: NDArray[np.int_]
    exporter: NDArray[np.int_]
    sector: NDArray[np.int_]
    instrument: NDArray[np.int_]
    sender: NDArray[np.int_]
    exports: NDArray[np.bool_]
    good: NDArray[np.int_]
    value: NDArray

    @property
    def cells(self) -> tuple[NDArray, NDArray, NDArray]:
        """Index of the flows into an array [importer, exporter, sector]."""
        return self.importer, self.exporter, self.sector


class Point(NamedTuple):
    """What cuts [instrument] do: loss of the target, cost to all senders and to each [sender], in money."""

    cuts: NDArray
    loss: float
    cost: float
    own: NDArray


@dataclass(frozen=True)
class Task:
    """Who presses whom, from where.

    economy, shock, start: the situation of departure and its equilibrium; target: place of the target; senders: places of
    the members of each sender; flows: see `Flows`; ready: the equilibrium ready for slopes by trade weights; most: the
    largest cut; money: what a unit of world factor income is worth.
    """

    economy: Economy
    shock: Shock
    start: Equilibrium
    target: int
    senders: tuple[tuple[int, ...], ...]
    flows: Flows
    ready: Differentiable
    most: float
    money: float

    @property
    def count(self) -> int:
        """The number of instruments."""
        return len(self.flows.sender)

    def welfare(self, found: Equilibrium) -> NDArray:
        """Equivalent variation against the situation of departure [country], in money."""
        ratio = np.asarray(found.real_income_change) / np.asarray(self.start.real_income_change)
        return self.money * np.asarray(self.start.income) * (ratio - 1)

    def weights(self, loss: float, cost: float) -> NDArray:
        """What turns real income changes [country] into loss · (loss of the target) + cost · (cost of the senders)."""
        share = np.zeros(len(self.economy.countries))
        share[self.target] -= loss
        for members in self.senders:
            share[list(members)] -= cost
        return self.money * share * np.asarray(self.start.income) / np.asarray(self.start.real_income_change)


def task(
    economy: Economy,
    shock: Shock,
    target: int,
    senders: Sequence[Sequence[int]],
    *,
    most: float = MOST,
    money: float = 1.0,
) -> Task:
    """The instruments of senders against a target: exports and imports, by sender and sector.

    senders: places of countries; the members of one sender act as one, with the same cut. Flows that are nil or banned in
    the situation of departure are left out.
    Raises `InputError` where the target sends, a country is in two senders, `most` is outside (0, 1), or nothing flows;
    and what `solve` and `differentiable` raise, as for a shock with price caps or evasion.
    """
    members = [place for each in senders for place in each]
    if target in members:
        raise InputError(f"{economy.countries[target]} is the target and cannot be among the senders too.")
    if len(set(members)) < len(members):
        twice = next(place for place in members if members.count(place) > 1)
        raise InputError(f"{economy.countries[twice]} is in two senders. Name each country once.")
    if not 0 < most < 1:
        raise InputError(f"The largest cut is {most:g}; expected above 0 and below 1, as 0.95 for 95 %.")
    start = solve(economy, shock)
    ready = differentiable(economy, shock, start, (WEIGHT,))
    flows = _flows(economy, start, target, senders, money)
    places = tuple(tuple(int(place) for place in each) for each in senders)
    return Task(economy, shock, start, target, places, flows, ready, most, money)


def _flows(
    economy: Economy, start: Equilibrium, target: int, senders: Sequence[Sequence[int]], money: float
) -> Flows:
    trade = start.trade() * money
    rows = [
        (*((target, member) if exports else (member, target)), good, sender, exports)
        for sender, each in enumerate(senders)
        for exports in (True, False)
        for good in range(len(economy.sectors))
        for member in each
    ]
    importer, exporter, sector, sender, exports = (np.array(column) for column in zip(*rows, strict=True))
    value = trade[importer, exporter, sector]
    there = value > 0
    if not there.any():
        raise InputError("Nothing flows between the senders and the target, so there is nothing to cut.")
    keys = np.stack([sender, ~exports, sector], axis=1)[there]
    known, instrument = np.unique(keys, axis=0, return_inverse=True)
    return Flows(
        importer[there],
        exporter[there],
        sector[there],
        instrument.ravel(),
        known[:, 0],
        known[:, 1] == 0,
        known[:, 2],
        np.bincount(instrument.ravel(), value[there]),
    )


# Values and slopes ------------------------------------------------------------------------------------------


def weighed_income(found: dict[str, Any], weights: Array) -> Array:
    """Σ weight · Ŵ over countries: what is differentiated."""
    return weights @ found["real_income_change"]


def point(of: Task, cuts: NDArray) -> Point:
    """Loss and cost at these cuts [instrument]. Raises what `solve` raises."""
    at, _ = reweighed(of.ready, jnp.asarray(_weight(of, cuts)))
    return _point(of, cuts, settle(of.economy, at, throw=True))


def _point(of: Task, cuts: NDArray, found: Equilibrium) -> Point:
    welfare = of.welfare(found)
    own = np.array([-welfare[list(members)].sum() for members in of.senders])
    return Point(np.array(cuts, float), float(-welfare[of.target]), float(own.sum()), own)


def weighed(of: Task, cuts: NDArray, loss: float, cost: float) -> tuple[Point, NDArray]:
    """The point, and the slopes [instrument] of loss · (loss of the target) + cost · (cost of the senders) by each cut."""
    found, (by,) = _slopes(of, cuts, [(loss, cost)], STEERING)
    return _point(of, cuts, found), by


def slopes(of: Task, cuts: NDArray) -> tuple[NDArray, NDArray]:
    """Slopes of the target's loss and of the senders' cost by each cut [instrument], in money for the whole of a flow."""
    _, (loss, cost) = _slopes(of, cuts, [(1.0, 0.0), (0.0, 1.0)], ACCURACY)
    return loss, cost


def _slopes(
    of: Task, cuts: NDArray, sums: list[tuple[float, float]], accuracy: float
) -> tuple[Equilibrium, list[NDArray]]:
    at, ready = reweighed(of.ready, jnp.asarray(_weight(of, cuts)))
    found = settle(of.economy, at, throw=True)
    here = ready(found)
    by = [
        gradient(here, weighed_income, (jnp.asarray(of.weights(*each)),), accuracy)[1].weight for each in sums
    ]
    return found, [_by_cut(of, np.asarray(each)) for each in by]


def _buyers(of: Task, values: NDArray) -> NDArray:
    """[sector, buyer, exporter] with the uses of a country apart [sector, use, importer, exporter]."""
    n = len(of.economy.countries)
    return values.reshape(len(values), -1, n, n)


def _weight(of: Task, cuts: NDArray) -> NDArray:
    """Trade weights at these cuts [sector, buyer, exporter]."""
    flows, weight = of.flows, np.array(of.ready.levers.weight)
    _buyers(of, weight)[flows.sector, :, flows.importer, flows.exporter] *= (1 - cuts[flows.instrument])[
        :, None
    ]
    return weight


def _by_cut(of: Task, by: NDArray) -> NDArray:
    flows = of.flows
    at = flows.sector, slice(None), flows.importer, flows.exporter
    each = -(_buyers(of, by)[at] * _buyers(of, np.asarray(of.ready.levers.weight))[at]).sum(axis=1)
    return np.bincount(flows.instrument, each, minlength=of.count)


# First order ------------------------------------------------------------------------------------------------


class InForce(NamedTuple):
    """What is cut in the situation of departure, each [sender, exports or imports, sector].

    cut: part of the weight of the sender's flows that measures remove; loss, cost: what ending that would take off the
    target's loss and off the senders' cost, to first order in weights, in money.
    """

    cut: NDArray
    loss: NDArray
    cost: NDArray


def in_force(of: Task, free: Shock) -> InForce:
    """The cuts that the situation of departure makes where `free` makes none, and what ending each would undo."""
    now, then = (_direct(of, shock) for shock in (of.shock, free))
    moved = then - now
    by = _both(of, of.ready)
    effects = [-(np.asarray(each.weight) * moved) for each in by]
    lost, whole, loss, cost = (_by_sender(of, values) for values in (np.maximum(moved, 0), then, *effects))
    return InForce(np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0), loss, cost)


def along(of: Task, shocks: Iterable[Shock]) -> NDArray:
    """What the target's loss and the senders' cost gain when the shock of departure gives way to each of these [shock, 2].

    To first order, in money. Weights count by how far they move, rates too; flows that are nil or banned at first count.
    """
    at = differentiable(of.economy, of.shock, of.start, (WEIGHT, "tariff", "export_tax"))
    by, was = _both(of, at), _direct(of, of.shock)
    found = []
    for shock in shocks:
        to = ground_of(of.economy, shock, True)
        moves = {"weight": _direct(of, shock) - was}
        for rate in ("tariff", "export_tax"):
            moves[rate] = np.asarray(getattr(to, rate)) - np.asarray(getattr(at.ground, rate))
        found.append(
            [sum((np.asarray(getattr(each, k)) * by_how).sum() for k, by_how in moves.items()) for each in by]
        )
    return np.array(found, float).reshape(-1, 2)


def _both(of: Task, at: Differentiable) -> list[Levers]:
    """Slopes of the target's loss and of the senders' cost by the levers of `at`."""
    sums = (1.0, 0.0), (0.0, 1.0)
    return [gradient(at, weighed_income, (jnp.asarray(of.weights(*each)),))[1] for each in sums]


def _direct(of: Task, shock: Shock) -> NDArray:
    """π M κ̂^(−θ) without duties [sector, buyer, exporter], over the κ̂^(−θ) of the departure."""
    ground, was = ground_of(of.economy, shock, False), of.ready.ground
    theta = np.asarray(was.at.trade_elasticity)[:, None, None]
    dearer = np.exp(-theta * (np.asarray(ground.log_cost) - np.asarray(was.log_cost)))
    weight = np.asarray(ground.weight)
    return weight * np.tile(dearer, (1, weight.shape[1] // weight.shape[2], 1))


def _by_sender(of: Task, values: NDArray) -> NDArray:
    """Values over flows [sector, buyer, exporter] summed [sender, exports or imports, sector]."""
    whole = _buyers(of, values).sum(axis=1)
    sides = [
        [whole[:, of.target, list(members)].sum(axis=1), whole[:, list(members), of.target].sum(axis=1)]
        for members in of.senders
    ]
    return np.array(sides)
