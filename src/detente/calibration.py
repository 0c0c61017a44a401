"""From a `World` to an `Economy`: shares from flows, elasticities from a named set, deficits from trade balances."""

import csv
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.economy import CLOSURES, Economy
from detente.equilibrium import balance
from detente.errors import InputError, unknown_name
from detente.horizon import DEFAULT as DEFAULT_HORIZON
from detente.horizon import Horizon
from detente.world import World

DEFAULT_ELASTICITIES = "caliendo-parro-2015"
DEFAULT_CLOSURE = "share-of-world"
UNITS_IN_USD = {"USD": 1.0, "USD thousand": 1e3, "USD million": 1e6, "USD billion": 1e9}

SOURCINGS = ("common", "by-use")

Elasticities = str | os.PathLike[str] | float | Mapping[str, float]


def calibrate(
    world: World,
    elasticities: Elasticities = DEFAULT_ELASTICITIES,
    deficits: str = DEFAULT_CLOSURE,
    horizon: str | os.PathLike[str] | Mapping[str, Any] | Horizon = DEFAULT_HORIZON,
    sourcing: str = "common",
) -> Economy:
    """The economy whose baseline is `world`.

    elasticities: a named set (`elasticity_sets()`), one number for all sectors, a mapping {sector: θ}, or a CSV file with
        columns `sector,trade_elasticity` that covers every sector of the world.
    deficits: 'share-of-world', 'share-of-own', 'balanced' or 'fixed' (see `detente.equations.deficit`).
    horizon: how easily producers, households and factors adjust: 'long' (Cobb–Douglas nests, mobile factors), 'medium',
        'short', 'energy-crisis', a YAML file, or a mapping such as {"base": "short", "inputs": 0.1} (`Horizon.load`).

    sourcing: 'common', producers and final users of a country share one import mix, or 'by-use', each have the table's own.

    Trade and input shares are duty-inclusive. The baseline is solved
    again so that the accounts close to 1e-12; with deficits='balanced' it is the world as it would be without imbalances
    (`detente.balance`). The baseline is the same for every horizon, which is recorded in the economy's provenance.
    Raises `InputError` for an unknown set, closure, horizon or sourcing, a missing or non-positive elasticity, or a cell
    without value added.
    """
    if deficits not in CLOSURES:
        raise unknown_name("deficit closure", deficits, CLOSURES)
    if sourcing not in SOURCINGS:
        raise unknown_name("sourcing", sourcing, SOURCINGS)
    apart = sourcing == "by-use"
    adjusting = Horizon.load(horizon)
    name, citation, theta = read_elasticities(elasticities, world.sectors)
    data = world.data
    net = data["intermediate_trade"].values + data["final_trade"].values  # exporter, sector, importer
    tariff = data["tariff"].values if "tariff" in data else None
    rate = 0.0 if tariff is None else tariff.transpose(1, 2, 0)
    paid = net * (1.0 + rate)
    used = data["intermediate_trade"].values if apart else net  # what sets the producers' import mix
    bought, border = (used * (1.0 + rate)).sum(axis=0).T, used.sum(axis=0).T  # importer, sector
    markup = np.divide(bought, border, out=np.ones_like(bought), where=border > 0)
    output = data["output"].values
    inputs = data["input_use"].values * markup[:, :, None]
    value_added = output - inputs.sum(axis=1)
    _refuse_negative(world, value_added, output)
    users = np.broadcast_to(output[:, None, :] > 0, inputs.shape)
    input_share = np.divide(inputs, output[:, None, :], out=np.zeros_like(inputs), where=users)
    wanted = data["final_trade"].values * (1.0 + rate)
    final = wanted.sum(axis=0).T
    factor_income = np.maximum(value_added, 0.0).sum(axis=1)
    attrs = data.attrs
    unit = str(attrs.get("unit", "USD million"))
    provenance = {
        "data": {
            key: str(attrs.get(key, "")) for key in ("title", "unit", "source", "licence", "attribution")
        }
        | {"year": int(attrs.get("year", 0))}
        | {"limits": [line for line in str(attrs.get("limits", "")).splitlines() if line]},
        "elasticities": {"name": name, "source": citation},
        "closure": deficits,
    }
    if apart:
        provenance["sourcing"] = sourcing
    economy = Economy.from_shares(
        countries=world.countries,
        sectors=world.sectors,
        trade_share=None if apart else _trade_share(paid),
        use_share=np.stack([_trade_share(used * (1.0 + rate)), _trade_share(wanted)]) if apart else None,
        input_share=input_share,
        value_added_share=1.0 - input_share.sum(axis=1),
        consumption_share=_consumption_share(final, world),
        value_added=factor_income,
        deficit=net.sum(axis=(0, 1)) - net.sum(axis=(1, 2)),
        trade_elasticity=theta,
        tariff=tariff,
        closure="fixed" if deficits == "balanced" else deficits,
        unit=unit,
        unit_value=float(factor_income.sum()),
        provenance=provenance,
    )
    return adjusting.applied(balance(economy) if deficits == "balanced" else economy)


def _refuse_negative(world: World, value_added: NDArray, output: NDArray) -> None:
    low = value_added < -1e-9 * output
    if low.any():
        n, k = np.argwhere(low)[0]
        raise InputError(
            f"`value_added` of {world.countries[n]}, sector {world.sectors[k]} is {value_added[n, k]:,.6g} after duties on "
            "inputs; a sector cannot use more than it makes. Correct its output or its inputs."
        )


def _trade_share(paid: NDArray) -> NDArray:
    """[importer, exporter, sector]; a good that nobody buys gets an own share of one, so that no share is 0/0."""
    flows = paid.transpose(2, 0, 1)
    bought = flows.sum(axis=1, keepdims=True)
    own = np.eye(len(flows))[:, :, None] * np.ones(flows.shape)
    return np.divide(flows, bought, out=own, where=np.broadcast_to(bought > 0, flows.shape))


def _consumption_share(final: NDArray, world: World) -> NDArray:
    total = final.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        name = world.countries[int(np.argmin(total))]
        raise InputError(
            f"`final_trade` to {name} is zero in every sector: a country must consume something."
        )
    return final / total


@cache
def elasticity_sets() -> dict[str, dict]:
    """Named sets of trade elasticities: {name: {title, citation, doubts}}."""
    import yaml

    return yaml.safe_load((labels.DATA / "elasticities.yaml").read_text(encoding="utf-8"))


def read_elasticities(given: Elasticities, sectors: Sequence[str]) -> tuple[str, str, NDArray]:
    """(name, citation, θ by sector) for whatever `calibrate` accepts. Raises `InputError` naming the sector at fault."""
    if isinstance(given, bool):
        raise InputError(
            "`elasticities` is True or False; expected a set's name, a number, a mapping or a CSV file."
        )
    if isinstance(given, int | float):
        return f"uniform {given:g}", "given by the user", np.full(len(sectors), float(given))
    if isinstance(given, Mapping):
        return "user's mapping", "given by the user", _by_sector(dict(given), sectors, "the mapping")
    text = os.fspath(given)
    sets = elasticity_sets()
    if text in sets:
        uniform = text.removeprefix("uniform-")
        if text != uniform:  # applies to any world
            return text, sets[text]["citation"], np.full(len(sectors), float(uniform))
        listed = _column(labels.DATA / "elasticities.csv", text)
        column = {code: listed[code] for code in sectors if code in listed}
        return text, sets[text]["citation"], _by_sector(column, sectors, f"the set `{text}`")
    path = Path(text)
    if path.suffix == ".csv" or path.exists():
        if not path.is_file():
            raise InputError(f"There is no elasticity file `{text}`. Named sets: {', '.join(sets)}.")
        return (
            path.name,
            f"user's file {path.name}",
            _by_sector(_column(path, "trade_elasticity"), sectors, f"`{text}`"),
        )
    try:
        value = float(text)
    except ValueError:
        raise unknown_name(
            "elasticity set", text, sets, "A number or a CSV file is understood too."
        ) from None
    return f"uniform {value:g}", "given by the user", np.full(len(sectors), value)


def _column(path: Path, column: str) -> dict[str, float]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"The elasticity file `{path}` cannot be read: {problem}.") from None
    if not rows or not {"sector", column} <= rows[0].keys():
        raise InputError(
            f"The elasticity file `{path}` needs the columns `sector` and `{column}` and a row a sector."
        )
    found: dict[str, float] = {}
    for line, row in enumerate(rows, start=2):
        if row["sector"] in found:
            raise InputError(f"`{path}`, row {line}: sector {row['sector']} is listed twice.")
        try:
            found[row["sector"]] = float(row[column])
        except (TypeError, ValueError):
            raise InputError(
                f"`{path}`, row {line}: the elasticity of {row['sector']} is `{row[column]}`; expected a number."
            ) from None
    return found


def _by_sector(values: Mapping[str, float], sectors: Sequence[str], where: str) -> NDArray:
    """θ in the order of `sectors`; a value for a sector that the world has in parts holds for each part without its own."""
    for whole, parts in labels.sector_parts().items():
        if whole in values and whole not in sectors and set(parts) <= set(sectors):
            rest = {code: value for code, value in values.items() if code != whole}
            values = dict.fromkeys(parts, values[whole]) | rest
    missing = [code for code in sectors if code not in values]
    if missing:
        raise InputError(
            f"No trade elasticity for sector {', '.join(missing[:5])} in {where}. Give one for each of the world's "
            f"{len(sectors)} sectors, or use a uniform set (`uniform-4`)."
        )
    for code in values:
        if code not in sectors:
            raise unknown_name(
                "sector", code, sectors, f"It stands in {where}; remove it or correct the code."
            )
    return np.array([float(values[code]) for code in sectors])
