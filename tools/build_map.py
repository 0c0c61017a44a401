"""Make `src/detente/data/world_map.json`, the map of the reports, from the npm package `world-atlas` 2.0.2.

    python -m tools.build_map                    # fetches the package with npm
    python -m tools.build_map --package FILE.tgz

The package carries Natural Earth's 1:110m countries (public domain) as TopoJSON. Three things are changed:

- only each country's ISO 3166 numeric code (`id`) and its name are kept, and arcs that no country uses are
  dropped;
- Antarctica is dropped, to leave the room to countries;
- Crimea, which this edition of Natural Earth draws with Russia (its rule is de-facto control), is drawn
  with Ukraine, as in
  United Nations General Assembly resolution 68/262 of 27 March 2014. The polygon, arcs 163 and 164, shares
  arc 163, the isthmus, with Ukraine's outline; the two are joined by letting the outline follow arc 164,
  the coast, instead.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[1] / "src" / "detente" / "data" / "world_map.json"
PACKAGE, VERSION = "world-atlas", "2.0.2"
DIGEST = "032e7765f2ce00edaeafec23ff22bc3b77e42987c257da944cc585b452c05b97"
MEMBER = "package/countries-110m.json"
ANTARCTICA, RUSSIA, UKRAINE = "010", "643", "804"
ISTHMUS, COAST = 163, 164


def read_package(path: Path) -> dict[str, Any]:
    """The TopoJSON in the package file; SystemExit where its SHA-256 is not the pinned one."""
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != DIGEST:
        sys.exit(f"{path} has SHA-256 {seen}; expected {DIGEST}. It is not {PACKAGE} {VERSION}.")
    with tarfile.open(path) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None
        return json.load(member)


def keep_id_and_name(topology: dict[str, Any]) -> list[dict[str, Any]]:
    """The countries without Antarctica, each with id (where it has one), name, type and arcs."""
    kept = []
    for country in topology["objects"]["countries"]["geometries"]:
        if country.get("id") == ANTARCTICA:
            continue
        slim = {
            "type": country["type"],
            "arcs": country["arcs"],
            "properties": {"name": country["properties"]["name"]},
        }
        kept.append(slim | ({"id": country["id"]} if "id" in country else {}))
    return kept


def draw_crimea_with_ukraine(countries: list[dict[str, Any]]) -> None:
    """Take the Crimean polygon out of Russia and let Ukraine's outline run along its coast, in place.

    Raises ValueError if either outline is not as the pinned edition has it.
    """
    by_id = {country.get("id"): country for country in countries}
    russia, ukraine = by_id[RUSSIA], by_id[UKRAINE]
    crimea = [[ISTHMUS, COAST]]
    if crimea not in russia["arcs"] or ~ISTHMUS not in ukraine["arcs"][0]:
        raise ValueError("the outlines of Russia and Ukraine are not those of the pinned edition")
    russia["arcs"].remove(crimea)
    outline = ukraine["arcs"][0]
    outline[outline.index(~ISTHMUS)] = COAST


def change_arcs(arcs: Any, change: Callable[[int], int]) -> Any:
    """`arcs`, nested as deep as TopoJSON nests them, with every reference passed through `change`."""
    return [change_arcs(arc, change) for arc in arcs] if isinstance(arcs, list) else change(arcs)


def drop_unused_arcs(countries: list[dict[str, Any]], arcs: list[Any]) -> list[Any]:
    """The arcs that are used, in their old order; the countries' references are renumbered in place."""
    used: set[int] = set()

    def note(reference: int) -> int:
        used.add(max(reference, ~reference))
        return reference

    for country in countries:
        change_arcs(country["arcs"], note)
    new = {old: position for position, old in enumerate(sorted(used))}
    for country in countries:
        country["arcs"] = change_arcs(country["arcs"], lambda old: new[old] if old >= 0 else ~new[~old])
    return [arcs[old] for old in sorted(used)]


def build(topology: dict[str, Any]) -> dict[str, Any]:
    """The map as it ships, from the package's TopoJSON."""
    countries = keep_id_and_name(topology)
    draw_crimea_with_ukraine(countries)
    arcs = drop_unused_arcs(countries, topology["arcs"])
    return {
        "type": "Topology",
        "objects": {"countries": {"type": "GeometryCollection", "geometries": countries}},
        "arcs": arcs,
        "transform": topology["transform"],
    }


def fetch(folder: Path) -> Path:
    """The package file, fetched by `npm pack` into `folder`."""
    subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
    return folder / f"{PACKAGE}-{VERSION}.tgz"


def main(arguments: list[str] | None = None) -> None:
    """Build the map and say how large it is."""
    parser = argparse.ArgumentParser(description="Make the map of the reports.")
    parser.add_argument("--package", type=Path, help=f"{PACKAGE}-{VERSION}.tgz, if it is already here")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        made = build(read_package(options.package or fetch(Path(temporary))))
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n"
    part = options.out.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, options.out)
    countries = made["objects"]["countries"]["geometries"]
    print(
        f"{options.out.name}: {len(text.encode()) / 1e3:.0f} kB, {len(countries)} countries, "
        f"{len(made['arcs'])} arcs"
    )


if __name__ == "__main__":
    main()
