"""Which trade cost, duty, elasticity or endowment moves an outcome, labelled: all of them from one linear solve."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpy.typing import ArrayLike, NDArray

from detente import labels
from detente.adjoint import KINDS, Levers, differentiable
from detente.adjoint import gradient as _gradient
from detente.adjoint import sensitivity as _sensitivity
from detente.economy import Economy
from detente.equilibrium import solve
from detente.errors import InputError, unknown_name
from detente.nests import KEYS
from detente.scenario import Scenario
from detente.shock import Shock

TOLERANCE = 1e-12  # of the equilibrium that is differentiated
FLOWS = ("exporter", "importer", "sector")
DIMS = {
    "trade_cost": FLOWS, "tariff": FLOWS, "export_tax": FLOWS, "trade_elasticity": ("sector",),
    "endowment": ("country",), "substitution": ("nest",),
}  # fmt: skip
UNITS = {
    "trade_cost": "percent for each percent of trade cost",
    "tariff": "percent for each percentage point of import duty",
    "export_tax": "percent for each percentage point of export tax",
    "trade_elasticity": "percent for each percent of the trade elasticity",
    "endowment": "percent for each percent of mobile factors",
    "substitution": "percent for each 0.01 of the elasticity of substitution",
}
_FIELDS = {
    "trade_cost": "log_cost", "tariff": "tariff", "export_tax": "export_tax",
    "trade_elasticity": "log_trade_elasticity", "endowment": "log_endowment", "substitution": "substitution",
}  # fmt: skip

Objective = str | Mapping[str, float] | Callable[[dict[str, Any]], Array]


def gradient(
    economy: Economy,
    scenario: Any,
    objective: Objective,
    *,
    by: str | Sequence[str] = "trade_cost",
    tolerance: float = TOLERANCE,
) -> xr.Dataset:
    """Derivatives of an outcome at a scenario's equilibrium by levers of some kinds, one variable a kind.

    scenario: what `detente.simulate` takes: a `Scenario`, a name, a file, a mapping or a `Shock`.
    objective: a country or group ("RUS", "EU27"): its real income, a group's weighed by spending of the data year, in
    percent;
        a mapping {country or group: weight}: the weighed sum of these; or a function of the fields of `Equilibrium` by
        name, as JAX arrays, that returns one number, whose derivatives are then in its own unit times a hundredth.
    by: kinds of levers: trade_cost, tariff, export_tax [exporter, importer, sector], trade_elasticity [sector],
    endowment
        [country], substitution [nest] (where the economy has nests). Each variable says its unit; attrs have the value
        of the objective and the products with the Jacobian that it took.
    Raises `InputError` for an unknown kind or party, and for price caps, quotas, producers' rules and evasion, which
    have no derivatives; `ConvergenceError` where the equilibrium or the linear solve stops short.
    """
    kinds = _kinds(by, economy)
    shock = scenario if isinstance(scenario, Shock) else Scenario.load(scenario).shock(economy)
    at = differentiable(economy, shock, solve(economy, shock, tolerance=tolerance), kinds)
    worth, slopes, products = _gradient(at, _outcome(objective, economy))
    found = {kind: (DIMS[kind], _outward(getattr(slopes, _FIELDS[kind]))) for kind in kinds}
    told = {
        "objective": _told(objective),
        "value": worth,
        "jacobian_products": products,
        "scenario": shock.name,
    }
    data = xr.Dataset(found, _coords(economy, kinds), told)
    for kind in kinds:
        data[kind].attrs = {"units": UNITS[kind], "long_name": kind.replace("_", " ").capitalize()}
    return data


def sensitivity(
    economy: Economy,
    scenario: Any,
    direction: Mapping[str, ArrayLike | xr.DataArray],
    *,
    tolerance: float = TOLERANCE,
) -> xr.Dataset:
    """How all results move along one direction of the levers, per unit of it: the other way round from `gradient`.

    direction: {kind: how far each lever moves}, arrays in the shape that `gradient` returns (trade costs, elasticities
    of trade and endowments in log points, duties as rates) or a DataArray with the same labels; what broadcasts is
    broadcast.
    Returns wage, consumer_price, real_income [country] and price, output [country, sector], each the change in percent
    for each hundredth of the direction. Raises what `gradient` raises.
    """
    kinds = _kinds(list(direction), economy)
    shock = scenario if isinstance(scenario, Shock) else Scenario.load(scenario).shock(economy)
    found = solve(economy, shock, tolerance=tolerance)
    at = differentiable(economy, shock, found, kinds)
    coords = _coords(economy, kinds)
    moves = {_FIELDS[kind]: _inward(kind, direction[kind], coords, at.levers) for kind in kinds}
    fields, _ = _sensitivity(at, Levers(**moves))
    names = {
        "real_income": "real_income_change", "wage": "wage_change", "consumer_price": "consumer_price_change",
        "price": "price_change", "output": "output",
    }  # fmt: skip
    both = ("country", "sector")
    variables = {}
    for name, field in names.items():
        level = np.asarray(getattr(found, field))
        slope = np.divide(np.asarray(fields[field]), level, out=np.zeros_like(level), where=level > 0)
        variables[name] = both[: slope.ndim], slope
    data = xr.Dataset(variables, {"country": list(economy.countries), "sector": list(economy.sectors)})
    for name in data:
        data[name].attrs = {"units": "percent for each hundredth of the direction", "long_name": str(name)}
    return data


def _kinds(by: str | Sequence[str], economy: Economy) -> tuple[str, ...]:
    kinds = (by,) if isinstance(by, str) else tuple(by)
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind of lever", kind, KINDS)
    if not kinds:
        raise InputError(f"Name at least one kind of lever: {', '.join(KINDS)}.")
    if "substitution" in kinds and economy.substitution is None:
        raise InputError(
            "This economy has Cobb–Douglas nests, which have no elasticities to differentiate by. Calibrate it at another "
            "`horizon`, or with `substitution=Substitution.of()`, which is the same economy with elasticities of 1."
        )
    return tuple(dict.fromkeys(kinds))


def _outcome(objective: Objective, economy: Economy) -> Callable[[dict[str, Any]], Array]:
    if callable(objective):
        return objective
    parties = {objective: 1.0} if isinstance(objective, str) else dict(objective)
    known = list(economy.countries)
    shares = []
    for party in parties:
        members = labels.resolve_countries(party, known)
        income = np.where(np.isin(known, members), np.asarray(economy.income), 0.0)
        shares.append(tuple(income))
    return _real_income(tuple(shares), tuple(float(weight) for weight in parties.values()))


@lru_cache(maxsize=32)
def _real_income(
    shares: tuple[tuple[float, ...], ...], weights: tuple[float, ...]
) -> Callable[[dict[str, Any]], Array]:
    """Σ weight · log of the parties' real income; the same function for the same parties, as it is compiled."""

    def value(found: dict[str, Any]) -> Array:
        return jnp.asarray(weights) @ jnp.log(jnp.asarray(shares) @ found["real_income_change"])

    return value


def _told(objective: Objective) -> str:
    if callable(objective):
        return getattr(objective, "__name__", "function")
    if isinstance(objective, str):
        return f"log real income of {objective}"
    return " + ".join(f"{weight:g} × log real income of {party}" for party, weight in objective.items())


def _coords(economy: Economy, kinds: Sequence[str]) -> dict[str, list[str]]:
    countries, sectors = list(economy.countries), list(economy.sectors)
    whole = {
        "exporter": countries,
        "importer": countries,
        "sector": sectors,
        "country": countries,
        "nest": list(KEYS),
    }
    used = {dim for kind in kinds for dim in DIMS[kind]}
    return {dim: names for dim, names in whole.items() if dim in used}


def _outward(slopes: Any) -> NDArray:
    """[sector, importer, exporter] turned into [exporter, importer, sector]; elasticities of the nests in the order of
    KEYS."""
    if not isinstance(slopes, jax.Array):
        return np.array([float(getattr(slopes, key)) for key in KEYS])
    values = np.asarray(slopes)
    return values.T if values.ndim == 3 else values


def _inward(
    kind: str, given: ArrayLike | xr.DataArray, coords: Mapping[str, list[str]], levers: Levers
) -> Any:
    dims = DIMS[kind]
    if isinstance(given, xr.DataArray):
        shape = xr.DataArray(0.0, {dim: coords[dim] for dim in dims}, dims)
        with xr.set_options(arithmetic_join="exact"):
            try:
                given = (shape + given).transpose(*dims).values
            except (ValueError, xr.AlignmentError) as problem:
                raise InputError(
                    f"The direction of `{kind}` has other labels than the economy: {problem}"
                ) from None
    sizes = tuple(len(coords[dim]) for dim in dims)
    values = np.asarray(given, float)
    try:
        values = np.broadcast_to(values, sizes)
    except ValueError:
        raise InputError(
            f"The direction of `{kind}` has shape {values.shape}; expected {sizes} [{', '.join(dims)}]."
        ) from None
    if not np.isfinite(values).all():
        raise InputError(f"The direction of `{kind}` must be finite numbers.")
    if kind == "substitution":
        there = levers.substitution
        assert there is not None
        return type(there)(
            **{key: jnp.asarray(value) for key, value in zip(KEYS, values, strict=True)},
            energy_goods=there.energy_goods,
            gas_goods=there.gas_goods,
        )
    return jnp.asarray(values.T.copy() if values.ndim == 3 else values)
