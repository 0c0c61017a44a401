"""The gravity fallback: what ships, how it is read, and an independent estimation of one sector."""

import json
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

import detente as dt
from detente import labels
from detente.calibration import calibrate
from detente.gravity import FILE, gravity, predicted_trade, unsanctioned_share
from tools import build_gravity as tool

STORED = 10.0 ** (1 - tool.DIGITS)  # relative: the file keeps that many significant digits


@pytest.fixture(scope="module")
def world():
    return dt.World.load()


@pytest.fixture(scope="module")
def predicted(world):
    return predicted_trade(world)


def known_pairs(world):
    """All pairs, and which of them the estimation must not see."""
    frame, others = tool.pairs(world.countries), tool.partners(world.countries)
    return frame, tool.hidden_pairs(frame, others), others


# What is put in --------------------------------------------------------------------------------------------


def test_distances_of_two_cities_and_their_symmetry(world):
    codes = world.countries
    far = tool.distance(codes)
    russia, usa, china = map(codes.index, ("RUS", "USA", "CHN"))
    assert far[russia, usa] == pytest.approx(
        7510, rel=0.01
    )  # Moscow to New York, by any table of air distances
    assert far[usa, china] == pytest.approx(11850, rel=0.01)  # New York to Shanghai
    assert np.allclose(far, far.T)
    assert not np.diag(far).any()
    assert far.max() < np.pi * tool.RADIUS


def test_land_borders_are_those_of_the_map(world):
    """Countries that share an arc of the map's outlines, less French Guiana's border, and two the map is too coarse for."""
    content = json.loads((labels.DATA / "world_map.json").read_text("utf-8"))
    codes = {labels.iso_numeric(code): code for code in world.countries}

    def flat(node):
        return {node if node >= 0 else ~node} if isinstance(node, int) else set().union(*map(flat, node))

    shapes = content["objects"]["countries"]["geometries"]
    arcs = {codes[shape["id"]]: flat(shape["arcs"]) for shape in shapes if shape.get("id") in codes}
    assert len(arcs) > 70
    drawn = {frozenset(pair) for pair in combinations(arcs, 2) if arcs[pair[0]] & arcs[pair[1]]}
    too_coarse = {frozenset(("ESP", "MAR")), frozenset(("CHN", "HKG"))}
    assert tool.borders() == (drawn - {frozenset(("BRA", "FRA"))}) | too_coarse


def test_pairs_touched_by_sanctions_are_hidden(world):
    frame, hidden, others = known_pairs(world)
    assert len(frame) == 80 * 79
    assert set(labels.country_groups()["coalition"]) <= set(others)
    assert not {"RUS", "BLR", "CHN", "IND", "TUR", "KAZ"} & set(others)
    at = {pair: k for k, pair in enumerate(zip(frame["exporter"], frame["importer"], strict=True))}
    for pair in (("RUS", "DEU"), ("USA", "RUS"), ("BLR", "POL"), ("UKR", "RUS")):
        assert hidden[at[pair]]
    for pair in (("RUS", "CHN"), ("BLR", "RUS"), ("DEU", "USA"), ("KAZ", "DEU")):
        assert not hidden[at[pair]]
    assert frame["eaeu"].sum() == 6
    assert frame.loc[at["FRA", "NOR"], ["eea", "eu27"]].tolist() == [1.0, 0.0]


# What comes out --------------------------------------------------------------------------------------------


def test_the_file_is_small_and_says_what_it_is():
    assert (labels.DATA / FILE).stat().st_size < 1.5e6
    attributes = gravity().attrs
    assert {"title", "source", "licence", "limits", "year"} <= set(attributes)
    assert attributes["year"] == 2022


def test_trade_falls_with_distance_in_every_sector():
    """And by magnitudes that the literature knows: between −0.3 and −2 (Head and Mayer 2014: −0.9 on average)."""
    data = gravity().dropna("sector", how="all", subset=["coefficient"])
    slope = data["coefficient"].sel(trait="log_distance")
    assert data.sizes["sector"] == 49  # all but households' own services, which cross no border
    assert float(slope.max()) < -0.3
    assert float(slope.min()) > -2
    assert -1 < float(slope.median()) < -0.5
    assert float((slope / data["standard_error"].sel(trait="log_distance")).max()) < -3
    assert float(data["pseudo_r2"].min()) > 0.7


def test_one_sector_estimated_again_without_the_package(world, predicted):
    """Poisson by iteratively reweighted least squares on dummies, in NumPy: same slope, same predictions."""
    sector = "C10T12"
    frame, hidden, _ = known_pairs(world)
    rows = tool.with_flow(frame, tool.flows(world), sector)
    sides = [rows[side].to_numpy()[:, None] == np.array(world.countries) for side in ("exporter", "importer")]
    design = np.hstack([rows[list(tool.TRAITS)].to_numpy(), sides[0], sides[1][:, 1:]]).astype(float)
    known, flow = design[~hidden], rows["flow"].to_numpy()[~hidden] / 1e3
    fitted = (flow + flow.mean()) / 2
    for _ in range(40):
        working = np.log(fitted) + flow / fitted - 1
        root = np.sqrt(fitted)[:, None]
        beta = np.linalg.lstsq(known * root, working * root[:, 0], rcond=None)[0]
        fitted = np.exp(known @ beta)
    stored = gravity()["coefficient"].sel(sector=sector)
    assert beta[: len(tool.TRAITS)] == pytest.approx(stored.values, rel=1e-4, abs=1e-5)
    assert fitted.sum() == pytest.approx(flow.sum(), rel=1e-9)
    germany = (frame["exporter"] == "RUS") & (frame["importer"] == "DEU")
    ours = 1e3 * np.exp(design[germany.to_numpy()] @ beta)[0]
    assert float(predicted.sel(exporter="RUS", importer="DEU", sector=sector)) == pytest.approx(
        ours, rel=1e-4
    )


def test_predictions_are_there_for_russia_and_its_partners_and_for_nobody_else(world, predicted):
    assert predicted.dims == ("exporter", "sector", "importer")
    assert predicted.attrs["units"] == "USD million"
    there = predicted.notnull()
    others = tool.partners(world.countries)
    assert int(there.sum()) == 2 * len(others) * len(world.sectors)
    assert bool(there.sel(exporter="RUS", importer=others).all())
    assert bool(there.sel(exporter=others, importer="RUS").all())
    assert float(predicted.min()) >= 0


def test_what_nobody_could_deliver_stays_nil(world, predicted):
    """A nil flow of 2022 with a prediction of nil: the seller sells the good to no country at all that is not hidden."""
    trade = tool.flows(world)
    nil = (trade == 0) & (predicted == 0)
    others = tool.partners(world.countries)
    for exporter, sector, importer in np.argwhere(nil.values):
        seller, buyer = world.countries[exporter], world.countries[importer]
        away = [
            c
            for c in world.countries
            if c not in {seller, "RUS", "BLR", *(others if seller == "RUS" else [])}
        ]
        assert not trade.values[exporter, sector, [world.countries.index(c) for c in away]].any(), (
            seller,
            buyer,
        )
    assert int(nil.sum()) >= 100


def test_shares_are_the_flow_in_the_buyers_spending_with_it(world, predicted):
    economy = calibrate(world)
    share = unsanctioned_share(economy)
    trade = tool.flows(world).transpose("importer", "exporter", "sector")
    made = predicted.transpose("importer", "exporter", "sector").values
    spending = trade.values.sum(axis=1, keepdims=True) - trade.values + made
    given = ~np.isnan(made)
    assert np.array_equal(given, ~np.isnan(share))
    expected = np.divide(made, spending, out=np.zeros_like(made), where=given & (spending > 0))
    assert share[given] == pytest.approx(expected[given], rel=2 * STORED, abs=1e-12)
    assert np.nanmax(share) < 1


def test_codes_lead_in_any_order_and_unknown_ones_have_no_prediction(world, predicted):
    class Few:
        countries = ("USA", "XYZ", "RUS")
        sectors = ("K", "ENE", "B06")

    share, full = unsanctioned_share(Few()), unsanctioned_share(world)
    usa, russia = map(world.countries.index, ("USA", "RUS"))
    finance, oil = map(world.sectors.index, ("K", "B06"))
    assert share[0, 2, 2] == full[usa, russia, oil]
    assert share[2, 0, 0] == full[russia, usa, finance]
    assert np.isnan(share).sum() == share.size - 4
    tiny = predicted_trade(dt.World.load("tiny"))
    assert isinstance(tiny, xr.DataArray)
    assert bool(tiny.isnull().all())
