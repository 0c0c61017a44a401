"""The dictionary of variables against the objects it describes, on the tiny world with duties added."""

import dataclasses
import re

import numpy as np
import pytest

from detente import equations, labels
from detente.calibration import calibrate
from detente.decomposition import first_order
from detente.derivatives import DIMS, UNITS
from detente.economy import Economy
from detente.equilibrium import Equilibrium
from detente.errors import InputError
from detente.outcome import Outcome, simulate
from detente.scenario import Scenario
from detente.shock import Shock
from detente.situation import situation
from detente.world import World

SUMS = 1e-12  # a few dozen additions of doubles
NAMES_AND_NOTES = {
    "countries",
    "sectors",
    "provenance",
    "situation",
    "name",
    "evasion",
    "instruments",
    "bindings",
    "trouble",
}  # fields that hold no variable
ROWS = {(row["group"], row["name"]): row for row in labels.variables()}
FORMULAE = {
    ("Equilibrium", "cost_change"): equations.unit_cost,
    ("Equilibrium", "price_change"): equations.price_index,
    ("Equilibrium", "output"): equations.output,
    ("Equilibrium", "spending"): equations.flows,
    ("Equilibrium", "wage_change"): equations.factor_market_gap,
    ("Equilibrium", "income"): equations.income,
    ("Equilibrium", "tariff_revenue"): equations.tariff_revenue,
    ("Equilibrium", "consumer_price_change"): equations.consumer_price,
    ("Outcome", "terms_of_trade"): first_order,
    ("Outcome", "volume_of_trade"): first_order,
    ("Outcome", "total"): first_order,
}


def named(group: str) -> dict[str, dict[str, str]]:
    return {name: row for (of, name), row in ROWS.items() if of == group}


def sizes(economy: Economy) -> dict[str, int]:
    countries, sectors = len(economy.countries), len(economy.sectors)
    assert countries != sectors  # or a shape could not tell them apart
    return (
        dict.fromkeys(("country", "importer", "exporter", "owner", "host"), countries)
        | dict.fromkeys(("sector", "input"), sectors)
        | {"use": 2}
    )


def shape(row: dict[str, str], economy: Economy) -> tuple[int, ...]:
    return tuple(sizes(economy)[axis] for axis in row["axes"].split())


@pytest.fixture(scope="module")
def world() -> World:
    """The tiny world with an import duty on one pair."""
    data = World.load("tiny").data
    names = data["country"].values.tolist()
    duty = np.zeros((4, 4, 3))
    duty[names.index("USA"), names.index("RUS")] = 0.1
    flows = [data[name].values for name in ("intermediate_trade", "final_trade", "input_use")]
    return World.from_arrays(
        names, data["sector"].values.tolist(), *flows, tariff=duty, year=2022, source="test"
    )


@pytest.fixture(scope="module")
def economy(world: World) -> Economy:
    """All arrays present: its export tax is zero, which changes no number; a part of energy's factors is a resource."""
    made = calibrate(world, sourcing="by-use").with_behaviour(resource_share=[0.3, 0.0, 0.0])
    return dataclasses.replace(made, export_tax=np.zeros(made.trade_share.shape)).with_claims(
        np.zeros((4, 4))
    )


@pytest.fixture(scope="module")
def outcome(economy: Economy) -> Outcome:
    content = {"by": "USA", "on": "RUS", "instrument": "cut", "size": 0.5}
    return simulate(economy, Scenario.load({"name": "half", "title": "Half", "measures": [content]}))


@pytest.fixture(scope="module")
def evaded(economy: Economy) -> Outcome:
    cut = {"by": "USA", "on": "RUS", "instrument": "cut", "size": 0.5}
    content = {"name": "around", "title": "Around", "measures": [cut], "evasion": {"hubs": ["XRW"]}}
    return simulate(economy, Scenario.load(content))


def test_world(world: World):
    found = {str(name): " ".join(map(str, array.dims)) for name, array in world.data.items()}
    assert found == {name: row["axes"] for name, row in named("World").items()}
    units = {str(name): array.attrs["units"] for name, array in world.data.items()}
    assert units == {name: row["unit"] for name, row in named("World").items()}


@pytest.mark.parametrize("kind", [Economy, Shock, Equilibrium])
def test_every_field_is_a_row_and_every_row_a_field(kind: type):
    fields = {field.name for field in dataclasses.fields(kind)} - NAMES_AND_NOTES
    assert fields == set(named(kind.__name__))


def test_shapes_are_those_of_the_axes(economy: Economy, outcome: Outcome):
    for made in (economy, outcome.after):
        for name, row in named(type(made).__name__).items():
            assert np.shape(getattr(made, name)) == shape(row, economy), name


def test_a_share_sums_to_one_over_the_axis_said(economy: Economy):
    """What a shape cannot show: which of two axes of countries is the seller, which of sectors the input."""
    rows = named("Economy")

    def total(name: str, axis: str) -> np.ndarray:
        return np.asarray(getattr(economy, name)).sum(axis=rows[name]["axes"].split().index(axis))

    np.testing.assert_allclose(total("trade_share", "exporter"), 1, atol=SUMS)
    np.testing.assert_allclose(total("consumption_share", "sector"), 1, atol=SUMS)
    inputs = total("input_share", "input") + np.asarray(economy.value_added_share)
    np.testing.assert_allclose(inputs, 1, atol=SUMS)


@pytest.mark.parametrize("name", named("Shock"))
def test_a_shock_takes_the_axes_said_and_no_others(economy: Economy, name: str):
    axes = shape(ROWS["Shock", name], economy)
    kind = bool if name == "blocked" else float
    zeros = {"entry", "claims", "transfer"}  # refused where there is a flow, or a sum is wrong
    nothing = kind is bool or name in zeros
    other = axes[::-1] if axes != axes[::-1] else tuple(size + 1 for size in axes)
    situation(economy, Shock(**{name: np.zeros(axes, kind) if nothing else np.ones(axes)}))
    other = axes[::-1] if len(axes) > 1 else (axes[0] + 1,)
    with pytest.raises(InputError, match=name):
        situation(economy, Shock(**{name: np.ones(other, kind)}))


def test_outcome(outcome: Outcome, evaded: Outcome):
    assert not {str(name) for name in outcome.data} & {"re_exports_after", "margin_income_after"}
    found = {
        str(name): (" ".join(map(str, array.dims)), array.attrs["units"])
        for data in (evaded.data, outcome.trade(), outcome.first_order())
        for name, array in data.items()
    }
    assert found == {name: (row["axes"], row["unit"]) for name, row in named("Outcome").items()}


def test_the_split_has_the_parts_said(world: World):
    found = simulate(calibrate(world), "us-relief").welfare_split()
    rows = named("Split")
    assert found["part"].values.tolist() == list(rows)
    assert {row["axes"] for row in rows.values()} == {" ".join(map(str, found["real_income"].dims))}
    units = ", or ".join(found[name].attrs["units"] for name in ("real_income", "equivalent_variation"))
    assert {row["unit"] for row in rows.values()} == {units}


def test_derivatives():
    found = {kind: (" ".join(dims), UNITS[kind]) for kind, dims in DIMS.items()}
    assert found == {name: (row["axes"], row["unit"]) for name, row in named("Derivatives").items()}


@pytest.mark.parametrize("key", FORMULAE)
def test_equation_numbers_are_those_of_the_docstrings(key: tuple[str, str]):
    said = re.findall(r"eq\. (\d+)", ROWS[key]["equation"])
    text = FORMULAE[key].__doc__ or ""
    assert said
    assert set(said) <= set(re.findall(r"eq\. (\d+)", text))


def test_no_number_of_the_paper_stands_unchecked():
    numbered = {key for key, row in ROWS.items() if "CP2015 eq." in row["equation"]}
    assert numbered == set(FORMULAE)
