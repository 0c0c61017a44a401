"""Make `src/detente/data/gravity_2022.nc`: what Russia and those who sanction it would trade without sanctions.

    python -m pip install pyfixest==0.60.0       # for this only; détente itself needs none of it
    python -m tools.build_gravity
    python -m tools.build_gravity --out FILE --no-checks

For each sector of the embedded table, a gravity equation is estimated by Poisson pseudo-maximum likelihood
(Santos Silva and Tenreyro 2006, Review of Economics and Statistics 88(4), 641-658) with effects for each
exporter and each importer:

    flow = exp(exporter + importer + β₁ log distance + β₂ border + β₃ both EEA + β₄ both EU27 + β₅ both EAEU)

on the flows of 2022 between different countries, without the pairs that sanctions, counter-measures or the
war touch: Russia and Belarus with each country that has measures in force against Russia or is a target of
Russia's own. Its prediction for Russia with each of them, in both directions, is what ships.

A country's sales to itself are left out, which is the same as giving each country a dummy of its own for
them. With one dummy for all, these sales, nine tenths of everything, decide the effects of exporters and
importers, and the fit does not converge in every sector.
"""

import argparse
import importlib
import importlib.util
import math
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from detente import labels
from detente.catalogue import load_catalogue
from detente.world import World

OUT = Path(__file__).resolve().parents[1] / "src" / "detente" / "data" / "gravity_2022.nc"
RUSSIA, ALLY = "RUS", "BLR"
EAEU = ("RUS", "KAZ", "BLR")  # its members in the table; Armenia and Kyrgyzstan are not in it
RADIUS = 6371.0  # km, the mean radius of the Earth
CITIES = {
    "AUS": (151.2, -33.9),  # Sydney
    "BRA": (-46.6, -23.6),  # São Paulo
    "CAN": (-79.4, 43.7),  # Toronto
    "CHN": (121.5, 31.2),  # Shanghai
    "RUS": (37.6, 55.8),  # Moscow
    "USA": (-74.0, 40.7),  # New York
}
"""Longitude and latitude of the largest city of each country above 7 million km², whose label point lies in emptiness."""
TRAITS = ("log_distance", "border", "eea", "eu27", "eaeu")
Frame = Any  # a pandas DataFrame, whose stubs cannot tell a column from a table
DIGITS = 5  # significant digits stored, so that machines agree to the byte
REPEATS = ("ARE", "BRA", "CHN", "IND", "KAZ", "SAU", "TUR", "ZAF")
"""Countries with which the task is repeated: their trade with the coalition is hidden, predicted, compared."""

BORDERS = """
AGO: COD
ARE: SAU
ARG: BRA CHL
AUT: CHE CZE DEU HUN ITA SVK SVN
BEL: DEU FRA LUX NLD
BGD: IND MMR
BGR: GRC ROU TUR
BLR: LTU LVA POL RUS UKR
BRA: COL PER
BRN: MYS
CAN: USA
CHE: DEU FRA ITA
CHL: PER
CHN: HKG IND KAZ LAO MMR PAK RUS VNM
CMR: NGA
COL: PER
CZE: DEU POL SVK
DEU: DNK FRA LUX NLD POL
EGY: ISR
ESP: FRA MAR PRT
EST: LVA RUS
FIN: NOR RUS SWE
FRA: ITA LUX
GBR: IRL
GRC: TUR
HRV: HUN SVN
HUN: ROU SVK SVN UKR
IDN: MYS
IND: MMR PAK
ISR: JOR
ITA: SVN
JOR: SAU
KAZ: RUS
KHM: LAO THA VNM
LAO: MMR THA VNM
LTU: LVA POL RUS
LVA: RUS
MEX: USA
MMR: THA
MYS: THA
NOR: RUS SWE
POL: RUS SVK UKR
ROU: UKR
RUS: UKR
SVK: UKR
"""
"""Land borders among the 80 countries, each once: those of the shipped map (Natural Earth, 1:110m), without that of
French Guiana, and two that it is too coarse for, Morocco with Ceuta and Melilla, and Hong Kong. Causeways don't count."""


@dataclass(frozen=True)
class Fit:
    """One sector's equation: coefficients and robust standard errors by trait, fit, and what it was fitted to."""

    coefficients: dict[str, float]
    errors: dict[str, float]
    pseudo_r2: float
    cells: int


def distance(countries: Sequence[str], cities: bool = True) -> np.ndarray:
    """Great-circle distance, km [exporter, importer], nil on the diagonal, between label points and `CITIES`."""
    found = {code: labels.label_point(code) for code in countries} | (CITIES if cities else {})
    missing = [code for code in countries if found[code] is None]
    if missing:
        raise SystemExit(f"countries.csv has no label point for {', '.join(missing)}.")
    longitude, latitude = np.radians(np.array([found[code] for code in countries], float)).T
    rise = np.sin((latitude[:, None] - latitude) / 2) ** 2
    turn = np.sin((longitude[:, None] - longitude) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(rise + np.cos(latitude[:, None]) * np.cos(latitude) * turn))


def borders() -> set[frozenset[str]]:
    """The pairs of `BORDERS`."""
    rows = (line.split(": ") for line in BORDERS.strip().splitlines())
    return {frozenset((first, other)) for first, others in rows for other in others.split()}


def partners(countries: Sequence[str]) -> list[str]:
    """The countries with measures of law on trade with Russia, or under Russia's own, in the table's order."""
    sides: set[str] = set()
    for measure in load_catalogue():
        for name in (measure.sender, *measure.targets):
            sides |= set(labels.resolve_countries(name, countries))
    return [code for code in countries if code in sides - {RUSSIA}]


def pairs(countries: Sequence[str], cities: bool = True) -> Frame:
    """One row for each two different countries: exporter, importer and `TRAITS`."""
    names, groups, touching = np.array(countries), labels.country_groups(), borders()
    exporter, importer = (side.ravel() for side in np.meshgrid(names, names, indexing="ij"))
    same = exporter == importer
    frame = pd.DataFrame({"exporter": exporter, "importer": importer})
    frame["log_distance"] = np.log(np.where(same, 1.0, distance(countries, cities).ravel()))
    frame["border"] = [float(frozenset(pair) in touching) for pair in zip(exporter, importer, strict=True)]
    for name, members in (("eea", groups["EEA"]), ("eu27", groups["EU27"]), ("eaeu", EAEU)):
        both = np.isin(exporter, members) & np.isin(importer, members)
        frame[name] = both.astype(float)
    return frame[~same].reset_index(drop=True)


def between(frame: Frame, sides: Iterable[str], others: Iterable[str]) -> np.ndarray:
    """Whether one side of each pair is in `sides` and the other in `others`."""
    a, b = set(sides), set(others)
    there = frame["exporter"].isin(a) & frame["importer"].isin(b)
    return (there | (frame["exporter"].isin(b) & frame["importer"].isin(a))).to_numpy()


def flows(world: World) -> xr.DataArray:
    """Intermediate and final sales together, USD million [exporter, sector, importer]."""
    return world.data["intermediate_trade"] + world.data["final_trade"]


def with_flow(frame: Frame, trade: xr.DataArray, sector: str) -> Frame:
    """The pairs with their `flow` in one sector."""
    where = {side: xr.DataArray(frame[side].to_numpy(), dims="pair") for side in ("exporter", "importer")}
    return frame.assign(flow=trade.sel(sector=sector).sel(where).to_numpy())


def estimate(known: Frame, asked: Frame) -> tuple[np.ndarray, Fit | None]:
    """Flows predicted for `asked` by the equation fitted to `known`; nil where a side trades nothing in `known`.

    No equation (None) and nothing predicted for a sector that does not cross borders.
    """
    if not (known["flow"] > 0).any():
        return np.zeros(len(asked)), None
    pyfixest: Any = importlib.import_module("pyfixest")
    names = [name for name in TRAITS if known[name].nunique() > 1]
    unit = known["flow"].mean()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*removed because of separation")
        fit = pyfixest.fepois(
            f"flow ~ {' + '.join(names)} | exporter + importer",
            data=known.assign(flow=known["flow"] / unit),
            vcov="hetero",
            iwls_tol=1e-10,
        )
    predicted = unit * np.nan_to_num(np.asarray(fit.predict(newdata=asked, type="response"), float), nan=0.0)
    coefficients, errors = (values.astype(float).to_dict() for values in (fit.coef(), fit.se()))
    return predicted, Fit(coefficients, errors, float(fit._pseudo_r2), int(fit._N))


def predict(
    world: World, frame: Frame, hidden: np.ndarray, asked: np.ndarray
) -> tuple[Frame, dict[str, Fit]]:
    """Predictions for the pairs `asked`, every sector fitted without `hidden`; the equations by sector.

    The frame has a row for each pair and sector: exporter, importer, sector, flow (the table's) and predicted.
    """
    trade, parts, fits = flows(world), [], {}
    for sector in world.sectors:
        rows = with_flow(frame, trade, sector)
        predicted, fit = estimate(rows[~hidden], rows[asked])
        part = rows.loc[asked, ["exporter", "importer", "flow"]]
        parts.append(part.assign(sector=sector, predicted=predicted))
        if fit:
            fits[sector] = fit
    return pd.concat(parts, ignore_index=True), fits


def hidden_pairs(frame: Frame, others: Sequence[str]) -> np.ndarray:
    """The pairs that sanctions, counter-measures or the war touch."""
    return between(frame, (RUSSIA, ALLY), others)


def repeat(world: World, cities: bool = True) -> Frame:
    """The task on `REPEATS`, whose trade with the same partners is known: rows as in `predict`, and `who`."""
    frame, others, parts = pairs(world.countries, cities), partners(world.countries), []
    for who in REPEATS:
        asked = between(frame, (who,), others)
        found, _ = predict(world, frame, hidden_pairs(frame, others) | asked, asked)
        parts.append(found.assign(who=who))
    return pd.concat(parts, ignore_index=True)


def fewer_digits(values: np.ndarray) -> np.ndarray:
    """Rounded to `DIGITS` significant digits, single precision."""
    size = np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values))))
    step = 10.0 ** (DIGITS - 1 - size)
    return (np.round(values * step) / step).astype(np.float32)


def to_dataset(world: World, found: Frame, fits: Mapping[str, Fit], others: Sequence[str]) -> xr.Dataset:
    """What ships: predicted flows and shares of Russia with each partner, and the equations."""
    trade, axes = flows(world), ("partner", "sector")
    coords = {"partner": list(others), "sector": world.sectors, "trait": list(TRAITS)}
    variables: dict[str, Any] = {}
    for name, side, other in (("exports", "exporter", "importer"), ("imports", "importer", "exporter")):
        rows = found[found[side] == RUSSIA]
        flow, made = (
            rows.pivot(index=other, columns="sector", values=value)
            .loc[list(others), world.sectors]
            .to_numpy()
            for value in ("flow", "predicted")
        )
        buyers = list(others) if name == "exports" else [RUSSIA]
        spending = trade.sum("exporter").sel(importer=buyers).transpose("importer", "sector").to_numpy()
        whole = spending - flow + made
        share = np.divide(made, whole, out=np.zeros_like(made), where=whole > 0)
        about = f"{name} of Russia predicted for 2022 without sanctions"
        variables[name] = (
            axes,
            fewer_digits(made),
            {"units": "USD million", "long_name": f"Goods and services, {about}"},
        )
        variables[f"{name}_share"] = (
            axes,
            fewer_digits(share),
            {"units": "1", "long_name": f"Share in what the buyer spends on the sector, {about}"},
        )
    for name, source in (("coefficient", "coefficients"), ("standard_error", "errors")):
        table = [
            [getattr(fits[s], source).get(t, np.nan) if s in fits else np.nan for t in TRAITS]
            for s in world.sectors
        ]
        variables[name] = (("sector", "trait"), fewer_digits(np.array(table)))
    fit = [[fits[s].pseudo_r2, fits[s].cells] if s in fits else [np.nan, 0] for s in world.sectors]
    variables["pseudo_r2"] = ("sector", fewer_digits(np.array(fit)[:, 0]))
    variables["cells"] = ("sector", np.array(fit)[:, 1].astype(np.int32))
    return xr.Dataset(variables, coords, ATTRIBUTES | {"year": world.data.attrs["year"]})


ATTRIBUTES = {
    "format": "detente-gravity 1",
    "title": "Trade of Russia with its sanctioning partners as a gravity equation predicts it without sanctions",
    "source": "Gravity equations by sector on the OECD inter-country input–output table of 2022; tools/build_gravity.py",
    "licence": "as world_2022.nc, from which it is estimated",
    "limits": "\n".join(
        (
            "A fallback where the flow of 2022 is nil, never in place of a flow.",
            "Russia's effects come from its trade of 2022 with countries without sanctions, which diversion had raised.",
            "Final sales by destination in the table are imputed, so the equation describes that imputation too.",
            "No pipelines, history, language or duties: single cells are off by a factor of two or more.",
        )
    ),
}


def write(data: xr.Dataset, path: Path) -> None:
    """Write the file, compressed; it appears whole or not at all."""
    how = {name: {"zlib": True, "complevel": 6, "shuffle": True} for name in data.data_vars}
    handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    os.close(handle)
    try:
        data.to_netcdf(temporary, engine="h5netcdf", encoding=how)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def quality(rows: Frame) -> dict[str, float]:
    """Predicted over true total; of cells above USD 1 million: correlation of logs, share within a factor of 2 and 3."""
    real = rows[(rows["flow"] > 1) & (rows["predicted"] > 0)]
    gap = np.log(real["predicted"] / real["flow"])
    return {
        "ratio": rows["predicted"].sum() / rows["flow"].sum(),
        "correlation": float(np.corrcoef(np.log(real["predicted"]), np.log(real["flow"]))[0, 1]),
        "within_2": float((gap.abs() <= math.log(2)).mean()),
        "within_3": float((gap.abs() <= math.log(3)).mean()),
        "overlap": float(np.minimum(rows["predicted"], rows["flow"]).sum() / rows["flow"].sum()),
    }


QUALITY = f"{'predicted/true':>15}{'corr. of logs':>14}{'within 2×':>10}{'within 3×':>10}{'overlap':>8}"


def quality_line(label: str, rows: Frame) -> str:
    """One line of a table of `quality`."""
    found = quality(rows)
    return (
        f"{label:<34}{found['ratio']:>15.2f}{found['correlation']:>14.2f}{100 * found['within_2']:>8.0f} %"
        f"{100 * found['within_3']:>8.0f} %{100 * found['overlap']:>6.0f} %"
    )


def report_fit(fits: Mapping[str, Fit]) -> Iterator[str]:
    """The equations, a line a sector."""
    yield f"{'sector':<10}{'cells':>7}{'pseudo-R²':>11}{'distance':>10}{'(s.e.)':>9}" + "".join(
        f"{trait:>9}" for trait in TRAITS[1:]
    )
    for sector, fit in fits.items():
        slope, error = fit.coefficients["log_distance"], fit.errors["log_distance"]
        rest = "".join(f"{fit.coefficients.get(trait, math.nan):>9.2f}" for trait in TRAITS[1:])
        yield f"{sector:<10}{fit.cells:>7}{fit.pseudo_r2:>11.3f}{slope:>10.2f}{error:>9.2f}{rest}"
    slopes = [fit.coefficients["log_distance"] for fit in fits.values()]
    goods = [fits[s].coefficients["log_distance"] for s in labels.sector_groups()["goods"] if s in fits]
    yield f"median: pseudo-R² {np.median([fit.pseudo_r2 for fit in fits.values()]):.3f}, " + (
        f"coefficient of log distance {np.median(slopes):.2f} (goods {np.median(goods):.2f})"
    )


def report_prediction(found: Frame) -> Iterator[str]:
    """Russia's totals: predicted without sanctions, and the flows of 2022; what becomes of nil cells."""
    goods = found["sector"].isin(labels.sector_groups()["goods"])
    yield "\nRussia and its sanctioning partners, 2022, USD billion:     predicted     in the table"
    for word, side in (("exports", "exporter"), ("imports", "importer")):
        for what, part in (("goods", goods), ("other", ~goods)):
            rows = found[(found[side] == RUSSIA) & part]
            yield f"{word}, {what:<43}{rows['predicted'].sum() / 1e3:>17.1f}{rows['flow'].sum() / 1e3:>17.1f}"
    nil = found[found["flow"] == 0]
    some = nil[nil["predicted"] > 0]
    yield (
        f"nil in the table: {len(nil)} of {len(found)} flows; {len(some)} of them get a prediction, "
        f"USD {some['predicted'].sum():.1f} million in all"
    )


def report_checks(world: World) -> Iterator[str]:
    """The task repeated where the truth is known; the alternatives that were not taken."""
    rows = repeat(world)
    yield "\nThe task repeated with trade that is known: the country's trade with the same partners hidden and predicted"
    yield f"{'':<34}{QUALITY}"
    for who in REPEATS:
        for word, side in (("exports", "exporter"), ("imports", "importer")):
            yield quality_line(f"{who} {word}", rows[(rows["who"] == who) & (rows[side] == who)])
    yield quality_line("all", rows)
    yield quality_line("all, goods", rows[rows["sector"].isin(labels.sector_groups()["goods"])])
    yield quality_line("all, label points for all", repeat(world, cities=False))


def main(arguments: list[str] | None = None) -> None:
    """Estimate, print, write."""
    parser = argparse.ArgumentParser(description="Gravity-predicted trade of Russia without sanctions.")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    parser.add_argument("--no-checks", action="store_true", help="leave out the checks on known trade")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("pyfixest") is None:
        parser.exit(2, "This needs pyfixest: python -m pip install pyfixest==0.60.0\n")
    world = World.load()
    frame, others = pairs(world.countries), partners(world.countries)
    found, fits = predict(world, frame, hidden_pairs(frame, others), between(frame, (RUSSIA,), others))
    write(to_dataset(world, found, fits, others), options.out)
    print(*report_fit(fits), *report_prediction(found), sep="\n", flush=True)
    if not options.no_checks:
        print(*report_checks(world), sep="\n")
    print(f"\n{options.out.name}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
