"""Derivatives of an equilibrium by the implicit function theorem.

All conditions together are G(z, p) = 0, with unknowns z and levers p: trade costs, duties, elasticities, endowments. A
scalar outcome J(z, p) has the gradient J_p − λᵀ G_p with G_zᵀ λ = J_z: one linear solve, however many levers there
are. The change of all outcomes along one direction of the levers needs one with G_z. Both are solved by GMRES, steered
by the linear response that steers the search itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from detente import equations
from detente.economy import Economy
from detente.equilibrium import Equilibrium, derived, final_part
from detente.errors import ConvergenceError, InputError
from detente.nests import Substitution
from detente.response import Preconditioner, apply_blocks
from detente.search import baseline_preconditioner
from detente.shock import Labels, Shock
from detente.situation import situation
from detente.system import TradeSystem, system
from detente.terms import Situation, Unknowns

ACCURACY = 1e-9  # of the linear solve, relative
ROUND = 1e-6  # reduction of the residual in one round
ROUNDS, RESTART = 6, 80  # of GMRES
SOLVED = 1e-8  # residual above which there is no equilibrium to differentiate

Outcome = Callable[..., Array]


class Levers(eqx.Module):
    """What derivatives are taken by; None where they are not.

    log_cost: log d̂ [sector, importer, exporter]; tariff, export_tax: ad-valorem rates there; log_trade_elasticity:
    log θ [sector]; log_endowment: log L̂ [country]; substitution: the elasticities of the nests. weight: the trade weight
    π M without costs and duties [sector, buyer, exporter], of which flows that are banned or nil have a slope too.
    """

    log_cost: Array | None = None
    tariff: Array | None = None
    export_tax: Array | None = None
    log_trade_elasticity: Array | None = None
    log_endowment: Array | None = None
    substitution: Substitution | None = None
    weight: Array | None = None


class Ground(eqx.Module):
    """What stays while levers move. weight: trade weights without costs and duties [sector, buyer, exporter]."""

    at: Situation
    weight: Array
    log_cost: Array
    tariff: Array | None
    export_tax: Array | None
    old_duty: Array | None
    income: Array
    final: Array | None


class Differentiable(NamedTuple):
    """An equilibrium, ready for derivatives: unknowns z, levers where they are, and the linear response."""

    unknowns: Unknowns
    levers: Levers
    ground: Ground
    made: Preconditioner


KINDS = ("trade_cost", "tariff", "export_tax", "trade_elasticity", "endowment", "substitution")
WEIGHT = "weight"


def differentiable(
    economy: Economy, shock: Shock, found: Equilibrium, kinds: tuple[str, ...]
) -> Differentiable:
    """The equilibrium with levers of some kinds (of `KINDS`, or `WEIGHT`) at the values they have in it.

    Raises `InputError` where the shock has instruments or evasion, whose wedges and routes are no smooth functions of
    trade costs, and `ConvergenceError` where `found` is no equilibrium.
    """
    if shock.instruments or shock.evasion is not None:
        raise InputError(
            "There is no derivative where price caps, quotas or producers' rules bind or not, or goods choose a way around "
            "measures. Leave `instruments` and `evasion` out, or compare two runs."
        )
    if not found.residual <= SOLVED:
        raise ConvergenceError(
            f"{found.result.message} Without an equilibrium (residual {found.residual:.1e}) there is no derivative."
        )
    ground = ground_of(economy, shock, "tariff" in kinds or "export_tax" in kinds, found.situation)
    at = ground.at
    given = {
        "log_cost": ground.log_cost if "trade_cost" in kinds else None,
        "tariff": ground.tariff if "tariff" in kinds else None,
        "export_tax": ground.export_tax if "export_tax" in kinds else None,
        "log_trade_elasticity": jnp.log(at.trade_elasticity) if "trade_elasticity" in kinds else None,
        "log_endowment": jnp.log(jnp.ones_like(at.value_added) if at.endowment is None else at.endowment)
        if "endowment" in kinds
        else None,
        "substitution": at.substitution if "substitution" in kinds else None,
        "weight": ground.weight if WEIGHT in kinds else None,
    }
    return Differentiable(_unknowns(found), Levers(**given), ground, baseline_preconditioner(economy))


def reweighed(at: Differentiable, weight: Array) -> tuple[Situation, Callable[[Equilibrium], Differentiable]]:
    """The situation with other trade weights [sector, buyer, exporter], all else as in `at`, which has them as levers;
    and what makes its equilibrium ready for derivatives.
    """
    levers = eqx.tree_at(lambda each: each.weight, at.levers, weight)
    return _situation_at(levers, at.ground), lambda found: Differentiable(
        _unknowns(found), levers, at.ground, at.made
    )


def ground_of(economy: Economy, shock: Shock, duties: bool, at: Situation | None = None) -> Ground:
    """Weights, costs and rates that a shock sets; rates where there are any, or with `duties`. Raises `InputError`.

    at: the shock's situation, where it is known.
    """
    labels = Labels(economy.countries, economy.sectors)
    n, s = len(economy.countries), len(economy.sectors)
    shape = (n, n, s)
    weight = economy.buyer_share.reshape(-1, *shape).copy()
    entry = shock.entering(np.asarray(economy.trade_share), labels)
    factor, blocked = shock.weight(shape, labels), shock.ban(shape, labels)
    if entry is not None:
        weight += entry
    if factor is not None:
        weight *= factor
    if blocked is not None:
        weight[:, blocked] = 0.0
    cost = shock.cost(shape, labels)
    old = [economy.tariff, economy.export_tax]
    new = [shock.tariff(shape, labels), shock.export_tax(shape, labels)]
    there = duties or any(rate is not None for rate in (*old, *new))

    def inner(values: NDArray) -> Array:
        return jnp.asarray(np.ascontiguousarray(values.reshape(-1, n, s).transpose(2, 0, 1)))

    def rate(now: NDArray | None, before: Array | None) -> NDArray:
        return now if now is not None else np.zeros(shape) if before is None else np.asarray(before)

    tariff, tax, duty = None, None, None
    if there:
        tariff, tax = (inner(rate(now, before)) for now, before in zip(new, old, strict=True))
        was = [np.zeros(shape) if before is None else np.asarray(before) for before in old]
        duty = inner((1 + was[0]) * (1 + was[1]))
    at = situation(economy, shock) if at is None else at
    empty = ("trade_weight", "sales_weight", "tariff_weight", "export_tax_weight")
    bare = eqx.tree_at(
        lambda each: tuple(getattr(each, name) for name in empty),
        at,
        (None,) * 4,
        is_leaf=lambda leaf: leaf is None,
    )
    log_cost = inner(np.zeros(shape) if cost is None else np.log(cost))
    return Ground(bare, inner(weight), log_cost, tariff, tax, duty, economy.income, final_part(economy))


def _unknowns(found: Equilibrium) -> Unknowns:
    log_wage = jnp.log(found.wage_change)
    if found.use_price_change is None or found.use_spending is None:
        price, spending = found.price_change, found.spending
    else:
        price, spending = found.use_price_change[0], found.use_spending.reshape(-1, found.spending.shape[1])
    premium = None
    if found.situation.factors is not None:
        premium = jnp.log(found.factor_price_change) - log_wage[:, None]
    return Unknowns(log_wage, jnp.log(price), spending, premium)


def _at(levers: Levers, ground: Ground) -> Situation:
    """The situation at these levers; Armington weights are π M κ̂^(−θ) as in `detente.situation`."""
    theta = (
        ground.at.trade_elasticity
        if levers.log_trade_elasticity is None
        else jnp.exp(levers.log_trade_elasticity)
    )
    log_cost = ground.log_cost if levers.log_cost is None else levers.log_cost
    weight = ground.weight if levers.weight is None else levers.weight
    uses = weight.shape[1] // weight.shape[2]

    def for_buyers(values: Array) -> Array:
        return jnp.tile(values, (1, uses, 1))

    power = theta[:, None, None]
    sales = tariff_part = tax_part = None
    if ground.old_duty is None:
        trade = weight * for_buyers(jnp.exp(-power * log_cost))
    else:
        t = ground.tariff if levers.tariff is None else levers.tariff
        e = ground.export_tax if levers.export_tax is None else levers.export_tax
        assert t is not None
        assert e is not None
        duty = (1 + t) * (1 + e)
        trade = weight * for_buyers(jnp.exp(-power * (log_cost + jnp.log(duty / ground.old_duty))))
        sales, tariff_part = trade / for_buyers(duty), trade * for_buyers(t / (1 + t))
        tax_part = trade * for_buyers(e / duty)
    values = {
        "trade_weight": trade, "sales_weight": sales, "tariff_weight": tariff_part, "export_tax_weight": tax_part,
        "trade_elasticity": theta,
        "endowment": ground.at.endowment if levers.log_endowment is None else jnp.exp(levers.log_endowment),
        "substitution": ground.at.substitution if levers.substitution is None else levers.substitution,
    }  # fmt: skip
    return eqx.tree_at(
        lambda each: tuple(getattr(each, name) for name in values),
        ground.at,
        tuple(values.values()),
        is_leaf=lambda leaf: leaf is None,
    )


def _system(levers: Levers, ground: Ground) -> TradeSystem:
    n = ground.at.value_added.shape[0]
    return system(_at(levers, ground), np.zeros(n, int))


def _gaps(unknowns: Unknowns, of: TradeSystem) -> Unknowns:
    """G(z, p): every condition, and the numéraire, which makes up for the one that follows from the others."""
    gaps = equations.residual(unknowns, of.situation)
    earned = equations.factor_income(unknowns.log_wage, unknowns.log_premium, of.situation)
    pinned = jnp.log(of.component @ earned / of.component_income)
    return gaps._replace(log_wage=gaps.log_wage - pinned)


def _step(gaps: Unknowns, spending: Array, of: TradeSystem, made: Preconditioner) -> Unknowns:
    """About −G_z⁻¹ times some gaps: each block by itself, then the inner ones carried along with wages."""
    outer = gaps.log_wage
    if gaps.log_premium is not None:
        outer = jnp.concatenate([outer, gaps.log_premium.ravel()])
    moved = made.move(outer)
    log_wage, log_premium = of.split(moved)
    still = jnp.zeros_like(gaps.log_price), jnp.zeros_like(of.by_country(spending))
    first, second = made.respond(*still, moved)
    price = apply_blocks(made.first_inverse, gaps.log_price) + first
    level = jnp.where(spending == 0, 1.0, spending)
    bought = apply_blocks(made.second_inverse, of.by_country(gaps.spending * level)) + second
    return Unknowns(log_wage, price, of.by_buyer(bought), log_premium)


@jax.jit
def _pull(at: Differentiable) -> Callable[[Unknowns], tuple[Unknowns]]:
    """Weights → G_zᵀ times them, with what is the same for all weights computed."""
    of = _system(at.levers, at.ground)
    return jax.vjp(lambda z: _gaps(z, of), at.unknowns)[1]


@jax.jit
def _push(at: Differentiable) -> Callable[[Unknowns], Unknowns]:
    """Moves → G_z times them, likewise."""
    of = _system(at.levers, at.ground)
    return jax.linearize(lambda z: _gaps(z, of), at.unknowns)[1]


@jax.jit
def _system_of(at: Differentiable) -> TradeSystem:
    return _system(at.levers, at.ground)


_situation_at = jax.jit(_at)


@jax.jit
def _product(linear: Callable[[Unknowns], Any], vector: Array, like: Unknowns) -> Array:
    return ravel_pytree(linear(ravel_pytree(like)[1](vector)))[0]


@partial(jax.jit, static_argnames="transposed")
def _steered(
    of: TradeSystem, unknowns: Unknowns, made: Preconditioner, vector: Array, transposed: bool
) -> Array:
    """About G_z⁻¹, or its transpose, times a vector."""
    flat, shape = ravel_pytree(unknowns)

    def step(gaps: Array) -> Array:
        return -ravel_pytree(_step(shape(gaps), unknowns.spending, of, made))[0]

    return jax.linear_transpose(step, flat)(vector)[0] if transposed else step(vector)


@partial(jax.jit, static_argnames="outcome")
def _slopes(
    at: Differentiable, outcome: Outcome, given: tuple[Array, ...] = ()
) -> tuple[Array, Unknowns, Levers]:
    """J, J_z and J_p."""

    def value(unknowns: Unknowns, levers: Levers) -> Array:
        found = derived(unknowns, _at(levers, at.ground), at.ground.income, at.ground.final)
        return outcome(found, *given)

    worth, (by_unknowns, by_levers) = jax.value_and_grad(value, argnums=(0, 1))(at.unknowns, at.levers)
    return worth, by_unknowns, by_levers


@jax.jit
def _along_levers(at: Differentiable, weights: Unknowns) -> Levers:
    """G_pᵀ times weights."""
    return jax.vjp(lambda p: _gaps(at.unknowns, _system(p, at.ground)), at.levers)[1](weights)[0]


def gradient(
    at: Differentiable, outcome: Outcome, given: tuple[Array, ...] = (), accuracy: float = ACCURACY
) -> tuple[float, Levers, int]:
    """Value of an outcome, its derivative by every lever, and the products with the Jacobian that it took.

    outcome: a function of the fields of `Equilibrium` by name, as JAX arrays, that returns one number; the same object
    in each call, as it is compiled. given: what else it takes, arrays that may differ from call to call. accuracy: of the
    linear solve, relative. Raises `ConvergenceError` where it stops short.
    """
    worth, by_unknowns, by_levers = _slopes(at, outcome, given)
    weights, count = _solved(at, by_unknowns, transposed=True, accuracy=accuracy)
    indirect = _along_levers(at, weights)
    return float(worth), jax.tree.map(lambda direct, through: direct - through, by_levers, indirect), count


def sensitivity(at: Differentiable, direction: Levers) -> tuple[dict[str, Array], int]:
    """Derivative of every field of `Equilibrium` along a direction of the levers, and the products it took.

    direction: the levers' own structure; how far each moves. Raises `ConvergenceError` where the linear solve stops
    short.
    """
    pushed = jax.jvp(lambda p: _gaps(at.unknowns, _system(p, at.ground)), (at.levers,), (direction,))[1]
    moves, count = _solved(at, jax.tree.map(jnp.negative, pushed), transposed=False)

    def fields(unknowns: Unknowns, levers: Levers) -> dict[str, Array]:
        found = derived(unknowns, _at(levers, at.ground), at.ground.income, at.ground.final)
        return {name: value for name, value in found.items() if value is not None}

    return jax.jvp(fields, (at.unknowns, at.levers), (moves, direction))[1], count


def _solved(
    at: Differentiable, right: Unknowns, *, transposed: bool, accuracy: float = ACCURACY
) -> tuple[Unknowns, int]:
    flat, shape = ravel_pytree(right)
    size, count = flat.size, 0
    linear = _pull(at) if transposed else _push(at)
    of = _system_of(at)

    def product(vector: NDArray) -> NDArray:
        nonlocal count
        count += 1
        return np.array(_product(linear, vector, at.unknowns))

    def steer(vector: NDArray) -> NDArray:
        return np.array(_steered(of, at.unknowns, at.made, vector, transposed=transposed))

    def operator(apply: Callable[[NDArray], NDArray]) -> LinearOperator:
        return LinearOperator(shape=(size, size), matvec=apply, dtype=float)  # pyright: ignore[reportCallIssue]

    operators = operator(product), operator(steer)
    goal, found = np.asarray(flat), np.zeros(size)
    scale = np.linalg.norm(goal)
    left = goal
    for _ in range(ROUNDS):  # the preconditioner is in single precision: each round gains some seven digits
        change, _ = gmres(
            operators[0],
            left,
            M=operators[1],
            rtol=max(ROUND, accuracy / 2),
            atol=0.0,
            restart=RESTART,
            maxiter=1,
        )
        found = found + change
        left = goal - product(found)
        if np.linalg.norm(left) <= accuracy * scale:
            break
    left = np.linalg.norm(left)
    if not left <= accuracy * scale:
        raise ConvergenceError(
            f"The linear solve behind the derivative stopped at a relative residual of {left / scale:.1e} "
            f"(asked {accuracy:.0e}) after {count} products. The equilibrium may be close to one where a country's income "
            "or a sector's supply vanishes; take the derivative at a smaller shock."
        )
    return shape(jnp.asarray(found)), count
