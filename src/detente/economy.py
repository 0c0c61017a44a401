"""An economy at rest: shares, elasticities and endowments that satisfy every accounting identity exactly.

`Economy.from_shares` is the door for people who have shares; `detente.calibrate` makes the shares from a `World`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from detente import numerics  # noqa: F401  (float64 before the first array)
from detente.errors import InfeasibleError, InputError, unknown_name
from detente.nests import Recipe, Substitution, recipe

CLOSURES = ("share-of-world", "share-of-own", "balanced", "fixed")
SHARE_TOLERANCE = 1e-6  # single-precision tables round shares by 1e-7; larger errors are mistakes
BALANCE_TOLERANCE = 1e-13  # of world income: an order above rounding, two below the identities promised


class Economy(eqx.Module):
    """Baseline of model and data, frozen. Levels are in units of world factor income, which is the numéraire.

    trade_share [importer, exporter, sector]: exporter's part of the importer's spending on the sector, duty-inclusive.
    input_share [country, input, user]; value_added_share [country, user]; consumption_share [country, sector].
    value_added [country], sums to 1; deficit [country], sums to 0; trade_elasticity [sector].
    tariff, export_tax [importer, exporter, sector], ad-valorem rates, or None where there are none.
    output, spending [country, sector]; income [country] (factor income + policy revenue + deficit).
    substitution, recipe: elasticities and shares of the nests above the Armington nest (`detente.nests`), or None for
        Cobb–Douglas.
    factor_mobility: μ in [1, ∞), how easily factors move between sectors (1: not at all), or None for ∞: one wage.
    resource_share [country, sector]: part of value added that a sector's own natural resource earns, or None.
    closure: how deficits follow the world (see `detente.equations.deficit`).
    unit_value: world factor income in `unit`; provenance: where numbers come from, for footers.
    """

    countries: tuple[str, ...] = eqx.field(static=True)
    sectors: tuple[str, ...] = eqx.field(static=True)
    trade_share: Array
    input_share: Array
    value_added_share: Array
    consumption_share: Array
    value_added: Array
    deficit: Array
    trade_elasticity: Array
    tariff: Array | None
    export_tax: Array | None
    substitution: Substitution | None
    recipe: Recipe | None
    factor_mobility: Array | None
    resource_share: Array | None
    output: Array
    spending: Array
    income: Array
    closure: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    unit_value: float = eqx.field(static=True)
    provenance: Mapping[str, Any] = eqx.field(static=True)

    def __check_init__(self):
        n, s = len(self.countries), len(self.sectors)
        shapes = {
            "trade_share": (n, n, s),
            "input_share": (n, s, s),
            "value_added_share": (n, s),
            "consumption_share": (n, s),
            "value_added": (n,),
            "deficit": (n,),
            "trade_elasticity": (s,),
            "output": (n, s),
            "spending": (n, s),
            "income": (n,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"`{name}` has shape {getattr(self, name).shape}; expected {shape}.")

    @classmethod
    def from_shares(
        cls,
        *,
        countries: Sequence[str],
        sectors: Sequence[str],
        trade_share: ArrayLike,
        input_share: ArrayLike,
        value_added_share: ArrayLike,
        consumption_share: ArrayLike,
        value_added: ArrayLike,
        deficit: ArrayLike,
        trade_elasticity: ArrayLike,
        tariff: ArrayLike | None = None,
        export_tax: ArrayLike | None = None,
        substitution: Substitution | None = None,
        factor_mobility: float = np.inf,
        resource_share: ArrayLike | None = None,
        closure: str = "share-of-world",
        unit: str = "world factor income",
        unit_value: float | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> "Economy":
        """An economy from shares, its baseline solved again so that the accounts close to 1e-12.

        Axes as in the class. value_added and deficit may be in any one unit: value_added is needed for the size of the
        unit only (its distribution over countries follows from the shares and the deficits). The closure "balanced" takes
        deficits of zero; `detente.balance` solves those of the data out.
        Raises `InputError` where a share is NaN, negative or does not sum to one (the cell is named), or an elasticity
        is not positive; `InfeasibleError` where deficits leave a country without income.
        """
        countries, sectors = tuple(map(str, countries)), tuple(map(str, sectors))
        if closure not in CLOSURES:
            raise unknown_name("deficit closure", closure, CLOSURES)
        _refuse_repeats("country", countries)
        _refuse_repeats("sector", sectors)
        s = len(sectors)
        axes = {"importer": countries, "exporter": countries, "country": countries}
        axes |= {"sector": sectors, "input": sectors, "user": sectors}

        def read(name: str, given: ArrayLike, *dims: str, least: float | None = 0.0) -> NDArray:
            return _read(name, given, {dim: axes[dim] for dim in dims}, least)

        pi = read("trade_share", trade_share, "importer", "exporter", "sector")
        gamma = read("input_share", input_share, "country", "input", "user")
        v = read("value_added_share", value_added_share, "country", "user")
        alpha = read("consumption_share", consumption_share, "country", "sector")
        va = read("value_added", value_added, "country")
        d = read("deficit", deficit, "country", least=None)
        theta = read("trade_elasticity", np.broadcast_to(np.asarray(trade_elasticity, float), (s,)), "sector")
        t, e = (
            None if rate is None else read(name, rate, "importer", "exporter", "sector", least=-1.0)
            for name, rate in (("tariff", tariff), ("export_tax", export_tax))
        )
        _refuse_unless_positive("trade_elasticity", theta, sectors)
        _refuse_unless_positive("value_added", va, countries)
        pi = _sums_to_one("trade_share", pi, 1, {"importer": countries, "sector": sectors}, "exporters")
        whole = gamma.sum(axis=1) + v
        _refuse_unless_one(
            "input_share summed over inputs plus value_added_share",
            whole,
            {"country": countries, "user": sectors},
        )
        gamma, v = gamma / whole[:, None, :], v / whole
        alpha = _sums_to_one("consumption_share", alpha, 1, {"country": countries}, "sectors")
        total = va.sum()
        d = _zero_sum(d / total, va / total)
        if closure == "balanced" and abs(d).max() > 0:
            raise InputError(
                "The closure 'balanced' is for an economy without deficits, and these sum to "
                f"{abs(d).sum() / 2:.3g} of world factor income. Build with closure='fixed', then call detente.balance."
            )
        accounts = _rest(pi, gamma, v, alpha, d, t, e, countries)
        return cls(
            countries=countries,
            sectors=sectors,
            trade_share=jnp.asarray(pi),
            input_share=jnp.asarray(gamma),
            value_added_share=jnp.asarray(v),
            consumption_share=jnp.asarray(alpha),
            value_added=jnp.asarray((v * accounts["output"]).sum(axis=1)),
            deficit=jnp.asarray(d),
            trade_elasticity=jnp.asarray(theta),
            tariff=None if t is None else jnp.asarray(t),
            export_tax=None if e is None else jnp.asarray(e),
            substitution=_nests(substitution, s),
            recipe=_recipe(substitution, gamma, alpha),
            factor_mobility=_mobility(factor_mobility),
            resource_share=_resources(resource_share, countries, sectors, v * accounts["output"]),
            output=jnp.asarray(accounts["output"]),
            spending=jnp.asarray(accounts["spending"]),
            income=jnp.asarray(accounts["income"]),
            closure=closure,
            unit=unit,
            unit_value=float(total if unit_value is None else unit_value),
            provenance=dict(provenance or {}),
        )

    def with_behaviour(
        self,
        *,
        substitution: Substitution | Literal["keep"] | None = "keep",
        factor_mobility: float | Literal["keep"] = "keep",
        resource_share: ArrayLike | Literal["keep"] | None = "keep",
        trade_elasticity: ArrayLike | Literal["keep"] = "keep",
    ) -> "Economy":
        """The same baseline with other elasticities; what is left out stays. Raises `InputError` as `from_shares` does."""
        given: dict[str, Any] = {}
        if not isinstance(substitution, str):
            given["substitution"] = _nests(substitution, len(self.sectors))
            shares = np.asarray(self.input_share), np.asarray(self.consumption_share)
            given["recipe"] = _recipe(substitution, *shares)
        if not isinstance(factor_mobility, str):
            given["factor_mobility"] = _mobility(factor_mobility)
        if not isinstance(resource_share, str):
            earned = np.asarray(self.value_added_share * self.output)
            given["resource_share"] = _resources(resource_share, self.countries, self.sectors, earned)
        if not isinstance(trade_elasticity, str):
            theta = np.broadcast_to(np.asarray(trade_elasticity, float), (len(self.sectors),))
            theta = _read("trade_elasticity", theta, {"sector": self.sectors}, 0.0)
            _refuse_unless_positive("trade_elasticity", theta, self.sectors)
            given["trade_elasticity"] = jnp.asarray(theta)
        return dataclasses.replace(self, **given)

    def identities(self) -> dict[str, float]:
        """The largest violation of each accounting identity of the baseline, in units of world factor income."""
        pi, t, e = np.asarray(self.trade_share), self.tariff, self.export_tax
        y, x, i = np.asarray(self.output), np.asarray(self.spending), np.asarray(self.income)
        sales, revenue = _sales_and_revenue(pi, x, _optional(t), _optional(e))
        needs = np.einsum("njk,nk->nj", np.asarray(self.input_share), y)
        earned = (np.asarray(self.value_added_share) * y).sum(axis=1)
        wants = np.asarray(self.consumption_share) * i[:, None]
        return {
            "trade shares sum to one": float(abs(pi.sum(axis=1) - 1).max()),
            "cost shares sum to one": float(
                abs(np.asarray(self.input_share).sum(axis=1) + np.asarray(self.value_added_share) - 1).max()
            ),
            "output equals sales": float(abs(y - sales).max()),
            "spending equals uses": float(abs(x - needs - wants).max()),
            "factor income equals value added": float(abs(earned - np.asarray(self.value_added)).max()),
            "income equals earnings": float(
                abs(i - np.asarray(self.value_added) - revenue - np.asarray(self.deficit)).max()
            ),
            "deficits sum to zero": float(abs(np.asarray(self.deficit).sum())),
            "world factor income is one": float(abs(np.asarray(self.value_added).sum() - 1)),
        }

    def __repr__(self) -> str:
        worst = max(self.identities().values())
        return (
            f"Economy: {len(self.countries)} countries × {len(self.sectors)} sectors, deficits {self.closure}, "
            f"world factor income {self.unit_value:,.0f} {self.unit}; identities hold to {worst:.0e}"
        )


def _nests(given: Substitution | None, sectors: int) -> Substitution | None:
    if given is not None and not all(0 <= good < sectors for good in given.energy_goods):
        raise InputError(
            f"`energy_goods` names sector {max(given.energy_goods)}; this economy has {sectors}, counted from 0."
        )
    return given


def _recipe(given: Substitution | None, gamma: NDArray, alpha: NDArray) -> Recipe | None:
    return None if given is None else recipe(gamma, alpha, given.energy_goods, given.gas_goods)


def _mobility(given: float) -> Array | None:
    if not given >= 1:
        raise InputError(
            f"`factor_mobility` is {given}; expected a number from 1 (factors are stuck) to infinity (one wage)."
        )
    return None if np.isinf(given) else jnp.asarray(float(given))


def _resources(
    given: ArrayLike | None, countries: Sequence[str], sectors: Sequence[str], earned: NDArray
) -> Array | None:
    if given is None:
        return None
    spread = np.broadcast_to(np.asarray(given, float), (len(countries), len(sectors)))
    share = _read("resource_share", spread, {"country": countries, "sector": sectors}, 0.0)
    if (share > 1).any():
        n, k = np.argwhere(share > 1)[0]
        raise InputError(
            f"`resource_share` is {share[n, k]:g} at country {countries[n]}, sector {sectors[k]}; expected at most 1."
        )
    mobile = ((1 - share) * earned).sum(axis=1)
    if (mobile <= 0).any():
        raise InputError(
            f"`resource_share` is 1 in all that country {countries[int(mobile.argmin())]} makes; some of its value added "
            "must go to factors that move between sectors. Lower it in at least one sector."
        )
    return jnp.asarray(share) if share.any() else None


def _optional(rate: Array | None) -> NDArray | None:
    return None if rate is None else np.asarray(rate)


def _cell(index: Sequence[int], axes: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{dim} {names[k]}" for k, (dim, names) in zip(index, axes.items(), strict=True))


def _refuse_repeats(kind: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"The {kind} code {repeated[0]} is listed twice; each may appear once.")


def _read(name: str, given: ArrayLike, axes: Mapping[str, Sequence[str]], least: float | None) -> NDArray:
    values = np.array(given, dtype=float)
    shape = tuple(len(names) for names in axes.values())
    if values.shape != shape:
        raise InputError(f"`{name}` has shape {values.shape}; expected {shape} [{', '.join(axes)}].")
    bad = ~np.isfinite(values) | (values < (-np.inf if least is None else least))
    if bad.any():
        where = np.argwhere(bad)[0]
        needed = "a finite number" if least is None else f"a finite number of at least {least:g}"
        raise InputError(f"`{name}` is {values[tuple(where)]} at {_cell(where, axes)}; expected {needed}.")
    return values


def _refuse_unless_positive(name: str, values: NDArray, names: Sequence[str]) -> None:
    if (values <= 0).any():
        k = int(np.argmin(values))
        raise InputError(f"`{name}` is {values[k]:g} for {names[k]}; expected a number above zero.")


def _refuse_unless_one(what: str, sums: NDArray, axes: Mapping[str, Sequence[str]]) -> None:
    off = abs(sums - 1)
    if off.max() > SHARE_TOLERANCE:
        where = np.unravel_index(int(off.argmax()), off.shape)
        raise InputError(
            f"`{what}` is {sums[where]:.8g} at {_cell([int(k) for k in where], axes)}; expected 1 within "
            f"{SHARE_TOLERANCE:g}. Divide the shares by their sum, or look for a missing cell there."
        )


def _sums_to_one(
    name: str, shares: NDArray, axis: int, axes: Mapping[str, Sequence[str]], over: str
) -> NDArray:
    sums = shares.sum(axis=axis)
    _refuse_unless_one(f"{name} summed over {over}", sums, axes)
    return shares / np.expand_dims(sums, axis)


def _zero_sum(deficit: NDArray, value_added: NDArray) -> NDArray:
    if abs(deficit.sum()) > SHARE_TOLERANCE:
        raise InputError(
            f"`deficit` sums to {deficit.sum():.3g} of world factor income; expected 0 within {SHARE_TOLERANCE:g}. "
            "What one country borrows another lends: subtract the sum in proportion to value added."
        )
    return deficit - deficit.sum() * value_added / value_added.sum()


def _sales_and_revenue(
    pi: NDArray, spending: NDArray, tariff: NDArray | None, export_tax: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Sales net of duties [country, sector] and policy revenue [country]."""
    if tariff is None and export_tax is None:
        # matmul over [sector, exporter, importer] is several times faster than einsum here
        sales = np.matmul(pi.transpose(2, 1, 0), spending.T[:, :, None])[:, :, 0].T
        return sales, np.zeros(len(pi))
    paid = pi * spending[:, None, :]
    border = paid / (1.0 + (0.0 if tariff is None else tariff))
    received = border / (1.0 + (0.0 if export_tax is None else export_tax))
    revenue = (paid - border).sum(axis=(1, 2)) + (border - received).sum(axis=(0, 2))
    return received.sum(axis=0), revenue


def _rest(
    pi: NDArray,
    gamma: NDArray,
    v: NDArray,
    alpha: NDArray,
    d: NDArray,
    t: NDArray | None,
    e: NDArray | None,
    countries: Sequence[str],
) -> dict[str, NDArray]:
    """The baseline that these shares and deficits imply: solves the linear accounts with world factor income 1.

    Spending X = Γ Y(X) + α (v·Y(X) + R(X) + D) is linear and homogeneous but for D, so one scale is free; it is pinned by
    Σ v Y = 1. GMRES, then a check.
    """
    n, s = alpha.shape

    def spend(x: NDArray, transfers: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        sales, revenue = _sales_and_revenue(pi, x, t, e)
        earned = (v * sales).sum(axis=1) + revenue + transfers
        return np.matmul(gamma, sales[:, :, None])[:, :, 0] + alpha * earned[:, None], sales, earned

    guess = alpha / n

    def defect(flat: NDArray) -> NDArray:
        x = flat.reshape(n, s)
        bought, sales, _ = spend(x, np.zeros(n))
        return (x - bought + (v * sales).sum() * guess).ravel()

    goal = (alpha * d[:, None] + guess).ravel()
    operator = LinearOperator(shape=(n * s, n * s), matvec=defect, dtype=float)  # pyright: ignore[reportCallIssue]
    x = guess.ravel()
    for _ in range(5):  # restarts with the true residual: GMRES alone stops a digit or two short
        miss = goal - defect(x)
        if abs(miss).max() <= 0.01 * BALANCE_TOLERANCE:
            break
        change, _ = gmres(operator, miss, rtol=1e-10, atol=0.0, restart=120, maxiter=5)
        x = x + change
    x = x.reshape(n, s)
    bought, sales, earned = spend(x, d)
    if not np.isfinite(x).all() or abs(bought - x).max() > BALANCE_TOLERANCE:
        raise InfeasibleError(
            "The baseline accounts have no solution for these shares and deficits: some countries neither buy from nor "
            f"sell to the rest (accounts miss by {abs(bought - x).max():.1e} of world income). Use deficits='balanced' "
            "or check `trade_share` for groups of countries that trade only among themselves."
        )
    if (earned <= 0).any() or x.min() < -BALANCE_TOLERANCE or sales.min() < -BALANCE_TOLERANCE:
        worst = countries[int(earned.argmin())]
        raise InfeasibleError(
            f"With these deficits {worst} would have to give away more than it earns. "
            "Use deficits='balanced', or check the sign of `deficit`: positive is spending above income."
        )
    x, sales = np.maximum(x, 0.0), np.maximum(sales, 0.0)
    return {"output": sales, "spending": x, "income": earned}
