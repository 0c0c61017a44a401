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

from detente import numerics  # noqa: F401  (float64 before the first array)
from detente.accounts import mixed_share, rest, sales_and_revenue
from detente.errors import InputError, unknown_name
from detente.holdings import checked_claims
from detente.nests import BY_USER, Recipe, Substitution, recipe

USES = ("intermediate", "final")
CLOSURES = ("share-of-world", "share-of-own", "balanced", "fixed")
SHARE_TOLERANCE = 1e-6  # single-precision tables round shares by 1e-7; larger errors are mistakes


class Economy(eqx.Module):
    """Baseline of model and data, frozen. Levels are in units of world factor income, which is the numéraire.

    trade_share [importer, exporter, sector]: exporter's part of the importer's spending on the sector, duty-inclusive.
    use_share [use, importer, exporter, sector]: the same of producers and of final users, where each buy from sellers of
        their own (trade_share is then their mean by spending), or None where they share one mix.
    input_share [country, input, user]; value_added_share [country, user]; consumption_share [country, sector].
    value_added [country], sums to 1; deficit [country], sums to 0; trade_elasticity [sector].
    tariff, export_tax [importer, exporter, sector], ad-valorem rates, or None where there are none.
    output, spending [country, sector]; income [country] (factor income + policy revenue + deficit).
    substitution, recipe: elasticities and shares of the nests above the Armington nest (`detente.nests`), or None for
        Cobb–Douglas.
    factor_mobility: μ in [1, ∞), how easily factors move between sectors (1: not at all), or None for ∞: one wage.
    resource_share [country, sector]: part of value added that a sector's own natural resource earns, or None.
    claims [owner, host]: share of the host's factor income that is due to owners abroad, within `deficit`, or None.
    closure: how deficits follow the world (see `detente.equations.deficit`).
    unit_value: world factor income in `unit`; provenance: where numbers come from, for footers.
    """

    countries: tuple[str, ...] = eqx.field(static=True)
    sectors: tuple[str, ...] = eqx.field(static=True)
    trade_share: Array
    use_share: Array | None
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
    claims: Array | None = None

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
        if self.use_share is not None and self.use_share.shape != (2, n, n, s):
            raise InputError(f"`use_share` has shape {self.use_share.shape}; expected {(2, n, n, s)}.")

    @classmethod
    def from_shares(
        cls,
        *,
        countries: Sequence[str],
        sectors: Sequence[str],
        trade_share: ArrayLike | None = None,
        use_share: ArrayLike | None = None,
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

        Axes as in the class; either trade_share or use_share. value_added and deficit may be in any one unit: the first is
        needed for the size of the unit only (its distribution over countries follows from the shares and the deficits). The
        closure "balanced" takes deficits of zero; `detente.balance` solves those of the data out.
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
        axes |= {"sector": sectors, "input": sectors, "user": sectors, "use": USES}

        def read(name: str, given: ArrayLike, *dims: str, least: float | None = 0.0) -> NDArray:
            return _read(name, given, {dim: axes[dim] for dim in dims}, least)

        if (trade_share is None) == (use_share is None):
            raise InputError(
                "Give either `trade_share`, one mix of sellers for all buyers of a country, or `use_share`, one for its "
                "producers and one for its final users."
            )
        flows = "importer", "exporter", "sector"
        if use_share is None:
            assert trade_share is not None
            pi = read("trade_share", trade_share, *flows)
        else:
            pi = read("use_share", use_share, "use", *flows)
        gamma = read("input_share", input_share, "country", "input", "user")
        v = read("value_added_share", value_added_share, "country", "user")
        alpha = read("consumption_share", consumption_share, "country", "sector")
        va = read("value_added", value_added, "country")
        d = read("deficit", deficit, "country", least=None)
        theta = read("trade_elasticity", np.broadcast_to(np.asarray(trade_elasticity, float), (s,)), "sector")
        t, e = (
            None if rate is None else read(name, rate, *flows, least=-1.0)
            for name, rate in (("tariff", tariff), ("export_tax", export_tax))
        )
        _refuse_unless_positive("trade_elasticity", theta, sectors)
        _refuse_unless_positive("value_added", va, countries)
        sides = {"importer": countries, "sector": sectors}
        if use_share is None:
            pi = _sums_to_one("trade_share", pi, 1, sides, "exporters")
        else:
            pi = _sums_to_one("use_share", pi, 2, {"use": USES} | sides, "exporters")
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
        accounts = rest(pi.reshape(-1, len(countries), s), gamma, v, alpha, d, t, e, countries)
        spent = accounts["spending"].reshape(-1, len(countries), s)
        return cls(
            countries=countries,
            sectors=sectors,
            trade_share=jnp.asarray(pi if use_share is None else mixed_share(pi, spent)),
            use_share=None if use_share is None else jnp.asarray(pi),
            input_share=jnp.asarray(gamma),
            value_added_share=jnp.asarray(v),
            consumption_share=jnp.asarray(alpha),
            value_added=jnp.asarray((v * accounts["output"]).sum(axis=1)),
            deficit=jnp.asarray(d),
            trade_elasticity=jnp.asarray(theta),
            tariff=None if t is None else jnp.asarray(t),
            export_tax=None if e is None else jnp.asarray(e),
            substitution=_nests(substitution, len(countries), s),
            recipe=_recipe(substitution, gamma, alpha),
            factor_mobility=_mobility(factor_mobility),
            resource_share=_resources(resource_share, countries, sectors, v * accounts["output"]),
            output=jnp.asarray(accounts["output"]),
            spending=jnp.asarray(spent[0] if use_share is None else spent.sum(axis=0)),
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
            given["substitution"] = _nests(substitution, len(self.countries), len(self.sectors))
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

    def with_claims(self, claims: ArrayLike | None) -> "Economy":
        """The same baseline with owners abroad told apart: [owner, host], shares of the host's factor income, or None.

        The baseline's incomes stay: what owners get is within `deficit`. Raises `InputError` naming the first bad cell.
        """
        found = None if claims is None else jnp.asarray(checked_claims(claims, self.countries))
        return dataclasses.replace(self, claims=found)

    @property
    def buyer_share(self) -> NDArray:
        """Shares by buyer [buyer, exporter, sector]: importers, or, by use, the producers of each and then final users."""
        pi = np.asarray(self.trade_share if self.use_share is None else self.use_share)
        return pi.reshape(-1, *pi.shape[-2:])

    @property
    def buyer_spending(self) -> NDArray:
        """Baseline spending by buyer [buyer, sector], in the order of `buyer_share`."""
        if self.use_share is None:
            return np.asarray(self.spending)
        used = np.einsum("njk,nk->nj", np.asarray(self.input_share), np.asarray(self.output))
        wanted = np.asarray(self.consumption_share) * np.asarray(self.income)[:, None]
        return np.concatenate([used, wanted])

    def identities(self) -> dict[str, float]:
        """The largest violation of each accounting identity of the baseline, in units of world factor income."""
        pi, t, e = self.buyer_share, self.tariff, self.export_tax
        y, x, i = np.asarray(self.output), np.asarray(self.spending), np.asarray(self.income)
        sales, revenue = sales_and_revenue(pi, self.buyer_spending, _optional(t), _optional(e))
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


def _nests(given: Substitution | None, countries: int, sectors: int) -> Substitution | None:
    if given is None:
        return None
    for name in BY_USER:
        shape = getattr(given, name).shape
        if shape not in ((), (sectors,), (countries, sectors)):
            raise InputError(
                f"The elasticity of substitution `{name}` has shape {shape}; this economy has {countries} countries and "
                f"{sectors} sectors."
            )
    if not all(0 <= good < sectors for good in given.energy_goods):
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
