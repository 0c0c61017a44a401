"""The World: identities, files, aggregation, and what it refuses."""

import numpy as np
import pytest
import xarray as xr

from detente import labels
from detente.errors import InputError
from detente.sources import world_file
from detente.world import World

# Sums of some thousand float64 terms: rounding grows at worst like their number times 2e-16.
ROUNDING = 1e-12


def small(seed: int = 0, countries: int = 3, sectors: int = 2) -> dict:
    """Arguments of `World.from_arrays` for a random world that adds up."""
    rng = np.random.default_rng(seed)
    intermediate = rng.uniform(1, 10, (countries, sectors, countries))
    final = rng.uniform(5, 20, (countries, sectors, countries))
    share = rng.dirichlet(np.ones(sectors), (countries, sectors))
    use = intermediate.sum(axis=0).T[:, :, None] * share
    return {
        "countries": ["AAA", "BBB", "CCC", "DDD"][:countries],
        "sectors": ["s1", "s2", "s3"][:sectors],
        "intermediate_trade": intermediate,
        "final_trade": final,
        "input_use": use,
        "year": 2000,
        "source": "random numbers",
    }


@pytest.fixture(scope="module")
def embedded() -> World:
    return World.load()


@pytest.mark.parametrize(("name", "countries", "sectors"), [(None, 80, 50), ("tiny", 4, 3)])
def test_shipped_worlds_add_up(name, countries, sectors):
    world = World.load(name)
    assert (len(world.countries), len(world.sectors)) == (countries, sectors)
    assert world.check(ROUNDING) == []
    assert all(array.dtype == np.float64 for array in world.data.values())
    assert all(float(array.min()) >= 0 for array in world.data.values())


def test_identities_written_out(embedded):
    """The same three identities as `check`, on bare arrays and with the axes spelt out."""
    data = {name: array.values for name, array in embedded.data.items()}
    sold = np.einsum("esi->es", data["intermediate_trade"] + data["final_trade"])
    np.testing.assert_allclose(data["output"], sold, rtol=ROUNDING)
    used, bought = np.einsum("cjk->cj", data["input_use"]), np.einsum("eji->ij", data["intermediate_trade"])
    np.testing.assert_allclose(used, bought, rtol=ROUNDING)
    spent = np.einsum("cjk->ck", data["input_use"]) + data["value_added"]
    np.testing.assert_allclose(data["output"], spent, rtol=ROUNDING)


def test_embedded_world_is_the_one_described(embedded):
    output, value_added = embedded.data["output"].values, embedded.data["value_added"].values
    assert (output == 0).sum() == 51
    # held at 2 % before the file's single precision, whose rounding may take a few 1e-7 of output off again
    assert (value_added[output > 0] / output[output > 0]).min() > 0.02 - 1e-6
    attrs = embedded.data.attrs
    assert attrs["year"] == 2022
    assert attrs["unit"] == "USD million"
    assert "OECD" in attrs["attribution"]
    limits = attrs["limits"].splitlines()
    assert len(limits) == 10
    for word in (
        "imputed",
        "rest of the world",
        "taxes",
        "sanctions",
        "basic prices",
        "hubs",
        "tariffs",
        "Myanmar",
    ):
        assert any(word in line for line in limits), word


def test_flows_are_those_that_the_limits_state(embedded):
    """Billion USD, to the one decimal in which `limits` tells users how the table differs from customs."""
    goods = labels.resolve_sectors("goods", embedded.sectors)
    intermediate, final = embedded.data["intermediate_trade"] / 1e3, embedded.data["final_trade"] / 1e3
    to_usa = {"exporter": "RUS", "importer": "USA"}
    imputed = float(final.sel(to_usa).sel(sector=goods).sum())
    of_goods = float((intermediate + final).sel(to_usa).sel(sector=goods).sum())
    everything = float((intermediate + final).sel(to_usa).sum())
    from_china = (intermediate + final).sel(exporter="CHN", importer="RUS", sector=goods)
    found = [of_goods, imputed, everything - of_goods, float(from_china.sum())]
    assert found == pytest.approx([17.2, 6.8, 9.7, 44.0], abs=0.05)
    stated = next(line for line in embedded.data.attrs["limits"].splitlines() if "Pairs differ" in line)
    assert all(f"{number:.1f}" in stated for number in found)


def test_files_are_small():
    sizes = {name: (labels.DATA / name).stat().st_size for name in ("world_2022.nc", "world_tiny.nc")}
    assert sizes["world_2022.nc"] < 3.5e6
    assert sizes["world_tiny.nc"] < 5e4


def test_tiny_world_is_the_sum_of_the_embedded_one(embedded):
    tiny = World.load("tiny")
    # both files are rounded to single precision (6e-8) on their own
    np.testing.assert_allclose(
        float(tiny.data["output"].sum()), float(embedded.data["output"].sum()), rtol=1e-7
    )
    energy = ["B05", "B06", "C19", "D"]
    big = embedded.data["output"].sel(country="RUS", sector=energy).sum()
    np.testing.assert_allclose(tiny.data["output"].sel(country="RUS", sector="ENE"), big, rtol=1e-7)


def test_from_arrays_derives_and_keeps():
    given = small()
    world = World.from_arrays(**given)
    assert world.check(ROUNDING) == []
    for name in ("intermediate_trade", "final_trade", "input_use"):
        np.testing.assert_array_equal(world.data[name].values, given[name])
    again = World.from_arrays(
        **given, output=world.data["output"].values, value_added=world.data["value_added"].values
    )
    xr.testing.assert_identical(world.data, again.data)
    given["input_use"][0, 0, 0] = 1e9
    assert float(world.data["input_use"][0, 0, 0]) != 1e9  # the world has its own copy


def test_from_arrays_aligns_dataarrays_by_label():
    given = small()
    world = World.from_arrays(**given)
    shuffled = world.data["intermediate_trade"].transpose("importer", "exporter", "sector")
    shuffled = shuffled.isel(importer=[2, 0, 1], exporter=[1, 2, 0])
    other = World.from_arrays(**{**given, "intermediate_trade": shuffled})
    xr.testing.assert_identical(other.data, world.data)
    short = world.data["intermediate_trade"].isel(importer=[0, 1])
    with pytest.raises(InputError, match="other codes along `importer` than the world: CCC"):
        World.from_arrays(**{**given, "intermediate_trade": short})
    with pytest.raises(InputError, match=r"has dimensions \['x', 'sector', 'importer'\]"):
        World.from_arrays(**{**given, "final_trade": world.data["final_trade"].rename(exporter="x")})


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "is not a finite number"), (np.inf, "is not a finite number"), (-1.0, "is negative")],
)
@pytest.mark.parametrize("name", ["intermediate_trade", "final_trade"])
def test_a_bad_cell_is_named(name, value, message):
    given = small()
    given[name][1, 0, 2] = value
    with pytest.raises(InputError, match=f"`{name}` at exporter BBB, sector s1, importer CCC {message}"):
        World.from_arrays(**given)


def test_wrong_shapes_and_codes():
    given = small()
    with pytest.raises(InputError, match=r"`input_use` has shape \(2, 3, 2\); expected \(3, 2, 2\)"):
        World.from_arrays(**{**given, "input_use": given["input_use"].transpose(1, 0, 2)})
    with pytest.raises(InputError, match="`AAA` stands there twice"):
        World.from_arrays(**{**given, "countries": ["AAA", "BBB", "AAA"]})
    with pytest.raises(InputError, match="`final_trade` is not an array of numbers"):
        World.from_arrays(**{**given, "final_trade": "much"})
    with pytest.raises(InputError, match="−1 or less"):
        World.from_arrays(**given, tariff=np.full((3, 3, 2), -1.0))


def test_swapped_axes_do_not_pass_for_a_world():
    """Buyers and sellers interchanged has the right shape; only the identities can tell."""
    given = small()
    with pytest.raises(InputError, match="use of an input = what was traded for it, country"):
        World.from_arrays(**{**given, "intermediate_trade": given["intermediate_trade"].transpose(2, 1, 0)})


def test_inputs_dearer_than_output_are_refused():
    given = small()
    given["final_trade"] = given["final_trade"] * 1e-3
    with pytest.raises(InputError, match=r"`value_added` at country .* is negative"):
        World.from_arrays(**given)


def test_check_names_every_violated_identity_with_its_cell():
    world = World.from_arrays(**small())
    data = world.data.copy(deep=True)
    data["output"].loc["BBB", "s2"] += 5.0
    found = World(data).check()
    assert [(v.identity, v.cell) for v in found] == [
        ("output = sales to all importers", "country BBB, sector s2"),
        ("output = inputs + value added", "country BBB, sector s2"),
    ]
    assert [v.found - v.expected for v in found] == pytest.approx([5.0, 5.0])
    data["input_use"].loc["AAA", "s1", "s2"] -= 0.25
    worst_last = World(data).check()
    assert worst_last[-1].cell in ("country AAA, input s1", "country AAA, sector s2")
    assert len(worst_last) == 4
    with pytest.raises(InputError, match=r"does not add up in 4 cells(.|\n)*BBB, sector s2: found"):
        World(data).check(raise_on_error=True)


def test_a_nan_is_a_violation():
    data = World.from_arrays(**small()).data.copy(deep=True)
    data["value_added"].loc["AAA", "s1"] = np.nan
    assert [v.cell for v in World(data).check()] == ["country AAA, sector s1"]


@pytest.mark.parametrize("tariff", [False, True])
def test_saved_and_loaded_is_the_same_to_the_bit(tmp_path, tariff):
    given = small(1)
    rates = np.random.default_rng(2).uniform(0, 0.3, (3, 3, 2)) if tariff else None
    world = World.from_arrays(**given, tariff=rates, limits=["one", "two"], licence="none")
    path = world.save(tmp_path / "own.nc")
    xr.testing.assert_identical(World.load(path).data, world.data)
    assert [file.name for file in tmp_path.iterdir()] == ["own.nc"]


def test_the_embedded_world_survives_a_round_trip(embedded, tmp_path):
    xr.testing.assert_identical(World.load(embedded.save(tmp_path / "w.nc")).data, embedded.data)


def test_save_refuses_other_endings_and_missing_folders(tmp_path):
    world = World.from_arrays(**small())
    with pytest.raises(InputError, match=r"ending in `.nc`, not `world.csv`"):
        world.save(tmp_path / "world.csv")
    with pytest.raises(InputError, match="there is no folder"):
        world.save(tmp_path / "nowhere" / "world.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    world = World.from_arrays(**small())
    path = world.save(tmp_path / "w.nc")
    before = path.read_bytes()

    def fail(*_args, **_keywords):
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        world.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w.nc"]


def test_load_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        World.load(tmp_path / "none.nc")
    with pytest.raises(InputError, match="is a folder"):
        World.load(tmp_path)
    text = tmp_path / "text.nc"
    text.write_text("exporter,importer\n")
    with pytest.raises(InputError, match="cannot be read as NetCDF-4"):
        World.load(text)
    whole = World.from_arrays(**small()).save(tmp_path / "w.nc")
    cut = tmp_path / "cut.nc"
    for share in (0.3, 0.6, 0.9):
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
        with pytest.raises(InputError, match="cannot be read as NetCDF-4"):
            World.load(cut)


def test_load_names_what_a_file_lacks(tmp_path):
    data = World.from_arrays(**small()).data
    path = tmp_path / "w.nc"
    world_file.write(data.drop_vars(["input_use", "input"]), path)
    with pytest.raises(InputError, match="is not a world: it lacks `input_use`, `input`"):
        World.load(path)
    data.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError, match="it lacks the mark"):
        World.load(path)
    world_file.write(data.transpose("sector", ...), path)
    with pytest.raises(
        InputError, match=r"`intermediate_trade` has axes \['sector', 'exporter', 'importer'\]"
    ):
        World.load(path)
    world_file.write(data.assign_coords(importer=["AAA", "CCC", "BBB"]), path)
    with pytest.raises(InputError, match="`country` and `importer` must carry the same codes"):
        World.load(path)
    broken = data.copy(deep=True)
    broken["final_trade"][0, 0, 0] += 1.0
    world_file.write(broken, path)
    with pytest.raises(InputError, match="does not add up"):
        World.load(path)


def test_aggregate_keeps_totals_and_identities(embedded):
    world = embedded.aggregate(
        countries={"EU": "EU27", "REST": ["bystanders", "BLR", "UKR"]}, sectors={"FUEL": ["B05", "oil"]}
    )
    assert world.countries == [*[c for c in embedded.countries if c in world.countries], "EU", "REST"]
    assert world.sectors[-1] == "FUEL"
    assert len(world.countries) == 80 - 27 - 41 + 2
    assert world.check(ROUNDING) == []
    for name, array in embedded.data.items():
        np.testing.assert_allclose(float(world.data[name].sum()), float(array.sum()), rtol=ROUNDING)
    crude = embedded.data["intermediate_trade"].sel(exporter="RUS", sector=["B05", "B06", "C19"])
    expected = float(crude.sel(importer=["DEU", "FRA"]).sum())
    pair = embedded.aggregate(countries={"DF": ["DEU", "FRA"]}, sectors={"FUEL": ["B05", "B06", "C19"]})
    found = float(pair.data["intermediate_trade"].sel(exporter="RUS", sector="FUEL", importer="DF"))
    assert found == pytest.approx(expected, rel=ROUNDING)


def test_aggregating_by_nothing_changes_nothing(embedded):
    same = embedded.aggregate()
    for name, array in embedded.data.items():
        np.testing.assert_array_equal(same.data[name].values, array.values)


def test_aggregate_weighs_tariffs_by_trade():
    given = small()
    rates = np.random.default_rng(3).uniform(0, 0.5, (3, 3, 2))
    world = World.from_arrays(**given, tariff=rates)
    merged = world.aggregate(countries={"X": ["AAA", "BBB"]})
    trade = given["intermediate_trade"] + given["final_trade"]  # [exporter, sector, importer]
    into_c = trade[:2, 0, 2]
    expected = (rates[2, :2, 0] * into_c).sum() / into_c.sum()
    assert float(merged.data["tariff"].sel(importer="CCC", exporter="X", sector="s1")) == pytest.approx(
        expected
    )
    assert float(merged.data["tariff"].sel(importer="CCC", exporter="CCC", sector="s2")) == rates[2, 2, 1]


def test_aggregate_takes_a_plain_mean_of_tariffs_without_trade():
    given = small()
    for name in ("intermediate_trade", "final_trade"):
        given[name][:2, 0, 2] = 0.0
    bought = given["intermediate_trade"].sum(axis=0).T
    given["input_use"] = bought[:, :, None] * np.array([0.5, 0.5])
    rates = np.random.default_rng(4).uniform(0, 0.5, (3, 3, 2))
    merged = World.from_arrays(**given, tariff=rates).aggregate(countries={"X": ["AAA", "BBB"]})
    found = float(merged.data["tariff"].sel(importer="CCC", exporter="X", sector="s1"))
    assert found == pytest.approx(rates[2, :2, 0].mean())


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"X": ["AAA"], "Y": ["BBB", "AAA"]}, "`AAA` is in `X` and again in `Y`"),
        ({"X": ["AAA", "AAA"]}, "`AAA` is in `X` and again in `X`"),
        ({"X": ["AAB"]}, "Did you mean `AAA`"),
        ({"BBB": ["AAA"]}, "`BBB` is a country that would stay"),
        ({"X": []}, "names no country of this world"),
    ],
)
def test_aggregate_refuses(mapping, message):
    with pytest.raises(InputError, match=message):
        World.from_arrays(**small()).aggregate(countries=mapping)


def test_repr_teaches():
    text = repr(World.load("tiny"))
    for part in (
        "World 2022: 4 countries × 3 sectors, USD million",
        "largest: XRW",
        "dt.calibrate(world)",
        "limits",
    ):
        assert part in text
    assert "tariffs: given" in repr(World.from_arrays(**small(), tariff=np.zeros((3, 3, 2))))
