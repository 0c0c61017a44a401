"""Names: of countries, of sectors, of groups of either, and of the variables that détente computes.

Everything here is read from the small text files in `detente/data`, once, when first asked for. Codes are
ISO 3166 alpha-3 for countries (with `X..` codes, which the standard leaves free, for aggregates) and OECD
inter-country input–output codes for sectors; a user's own world may use any other codes, which are then
their own names.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from .errors import InputError, unknown_name

DATA = Path(__file__).parent / "data"
EVERYTHING = "all"


def _rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file in `detente/data`, without its comment lines."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@cache
def countries() -> dict[str, dict[str, str]]:
    """Rows of `countries.csv` by ISO3 code: iso_numeric, name, longitude, latitude (degrees, as text)."""
    return {row["iso3"]: row for row in _rows("countries.csv")}


@cache
def population() -> dict[str, int]:
    """Residents by ISO3 code, estimates of 2024 or 2025 (`population.csv`; its source stands in LICENSES.md)."""
    return {row["iso3"]: int(row["population"]) for row in _rows("population.csv")}


@cache
def sectors() -> dict[str, dict[str, str]]:
    """Rows of `sectors.csv` by code: name (short, for charts), long_name, group."""
    return {row["code"]: row for row in _rows("sectors.csv")}


@cache
def variables() -> list[dict[str, str]]:
    """Rows of the dictionary `variables.csv`: name, group, symbol, axes, unit, meaning, equation, alias."""
    with (Path(__file__).parent / "variables.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def country_name(code: str) -> str:
    """Short English name as charts show it; a code that is not in the list is its own name."""
    row = countries().get(code)
    return row["name"] if row else code


def sector_name(code: str) -> str:
    """Short English name as charts show it; a code that is not in the list is its own name."""
    row = sectors().get(code)
    return row["name"] if row else code


def iso_numeric(code: str) -> str | None:
    """ISO 3166 numeric code, three digits as text, as the map uses it; None where there is none."""
    row = countries().get(code)
    return (row["iso_numeric"] or None) if row else None


def label_point(code: str) -> tuple[float, float] | None:
    """A point inside the country, (longitude, latitude) in degrees, for those too small for the map."""
    row = countries().get(code)
    if not row or not row["longitude"]:
        return None
    return float(row["longitude"]), float(row["latitude"])


@cache
def _groups_file() -> dict[str, dict[str, dict]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (DATA / "groups.yaml").open(encoding="utf-8") as file:
        return yaml.load(file, Loader=loader)  # a safe loader either way


@cache
def country_groups() -> dict[str, tuple[str, ...]]:
    """Named groups of countries: {name: ISO3 codes}."""
    return {name: tuple(group["members"]) for name, group in _groups_file()["countries"].items()}


@cache
def sector_groups() -> dict[str, tuple[str, ...]]:
    """Named groups of sectors: {name: sector codes}."""
    return {name: tuple(group["members"]) for name, group in _groups_file()["sectors"].items()}


@cache
def sector_parts() -> dict[str, tuple[str, ...]]:
    """Sectors that a world may have in parts: {code: codes of the parts}."""
    return {whole: tuple(codes) for whole, codes in _groups_file()["parts"].items()}


def with_parts(codes: Iterable[str]) -> list[str]:
    """Sector codes, each followed by its parts where it has any."""
    parts = sector_parts()
    return [each for code in codes for each in (code, *parts.get(code, ()))]


def describe_group(name: str) -> str:
    """One line on what a country or sector group holds; InputError if there is no such group."""
    groups = {**_groups_file()["countries"], **_groups_file()["sectors"]}
    for known, group in groups.items():
        if known.casefold() == name.casefold():
            return group["about"]
    raise unknown_name("group", name, groups)


def resolve_countries(names: str | Iterable[str], known: Sequence[str]) -> list[str]:
    """Country codes meant by `names`, in the order of `known`'s codes as first mentioned, none twice.

    `names` is one name, several with commas between them, or a list; a name is a code, a group (`EU27`,
    `coalition`, …), a short English name, or `all`, in upper or lower case. `known` are the codes of the
    world at hand. Raises InputError for a name that is none of these (nearest match offered), for a group
    that has no member among `known`, and for an empty list.
    """
    named = {code: row["name"] for code, row in countries().items()}
    stand_ins = _groups_file()["stand_ins"]["countries"]
    return _resolve("country", names, known, country_groups(), named, stand_ins)


def resolve_sectors(names: str | Iterable[str], known: Sequence[str]) -> list[str]:
    """Sector codes meant by `names`; rules as in `resolve_countries`, groups of sectors (`energy`, …)."""
    named = {code: row["name"] for code, row in sectors().items()}
    stand_ins = _groups_file()["stand_ins"]["sectors"]
    return _resolve("sector", names, known, sector_groups(), named, stand_ins)


def _split(names: str | Iterable[str], kind: str) -> list[str]:
    """The single names in `names`, in order, blanks removed."""
    entries = [names] if isinstance(names, str) else list(names)
    for entry in entries:
        if not isinstance(entry, str):
            raise InputError(
                f"A {kind} must be given by its code, as text; found {entry!r}. "
                "In YAML, put quotes round a code that reads as something else (`NO` is false there)."
            )
    # a short name may itself hold a comma only in a list, never in a text that is to be split
    parts = [part.strip() for entry in entries for part in entry.split(",")]
    found = [part for part in parts if part]
    if not found:
        raise InputError(
            f"No {kind} is named. Give a code, a group's name, a list of them, or `{EVERYTHING}`."
        )
    return found


def _resolve(
    kind: str,
    names: str | Iterable[str],
    known: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    named: Mapping[str, str],
    stand_ins: Mapping[str, Sequence[str]],
) -> list[str]:
    """Codes meant by `names`, first mention first; a code wins over a group, a group over a name."""
    present = set(known)
    codes = {code.casefold(): code for code in known}
    parts = {whole.casefold(): codes for whole, codes in sector_parts().items()} if kind == "sector" else {}
    folded_groups = {group.casefold(): group for group in groups}
    by_name = {named[code].casefold(): code for code in known if code in named}
    found: dict[str, None] = {}
    for name in _split(names, kind):
        folded = name.casefold()
        if folded in codes:
            found[codes[folded]] = None
        elif folded == EVERYTHING:
            found.update(dict.fromkeys(known))
        elif folded in parts and present.issuperset(parts[folded]):
            found.update(dict.fromkeys(parts[folded]))
        elif folded in folded_groups:
            group = folded_groups[folded]
            members = [*groups[group], *(code for code, of in stand_ins.items() if group in of)]
            here = [code for code in members if code in present]
            if not here:
                raise _in_one(kind, members[0], known, named) or InputError(
                    f"The {kind} group `{group}` has no member in this world, which has {len(known)}: "
                    f"{', '.join(list(known)[:8])}{', …' if len(known) > 8 else ''}. Name codes that it has."
                )
            found.update(dict.fromkeys(here))
        elif folded in by_name:
            found[by_name[folded]] = None
        else:
            raise _unknown(kind, name, known, groups, named)
    return list(found)


def _unknown(
    kind: str, name: str, known: Sequence[str], groups: Mapping[str, Sequence[str]], named: Mapping[str, str]
) -> InputError:
    """The error for a name that is nothing: says so when the code exists elsewhere but not in this world."""
    code = name.upper()
    in_one = _in_one(kind, code, known, named)
    if in_one:
        return in_one
    if code in named and code not in known:
        return InputError(
            f"There is no {kind} `{code}` ({named[code]}) in this world. "
            "Leave it out, or use a world that has it."
        )
    names = [*known, *groups, EVERYTHING, *(named[code] for code in known if code in named)]
    plural = "countries" if kind == "country" else "sectors"
    return unknown_name(kind, name, names, f"Codes of {plural} and named groups are both understood.")


def _in_one(kind: str, code: str, known: Sequence[str], named: Mapping[str, str]) -> InputError | None:
    """The error for a part of a sector that this world has as one, None where that is not so."""
    for whole, parts in sector_parts().items():
        if kind == "sector" and code in parts and whole in known:
            return InputError(
                f"This world has {', '.join(f'`{part}`' for part in parts)} as one sector, `{whole}` "
                f"({named[whole]}), so `{code}` cannot be told apart. Use the world `energy`, or name `{whole}` with "
                "a size that holds for all of it."
            )
    return None


def stand_ins() -> set[str]:
    """Codes that stand for many, as those of the tiny world."""
    return {code for codes in _groups_file()["stand_ins"].values() for code in codes}


def stand_in(code: str, known: Sequence[str]) -> str:
    """The code among `known` that stands for a country or sector of the embedded table.

    The one that stands in most groups of which `code` is a member; among equals the last.
    Raises `InputError` where `known` has no stand-in.
    """
    best, most = "", 0
    for kind, members in (("countries", country_groups()), ("sectors", sector_groups())):
        for name, groups in _groups_file()["stand_ins"][kind].items():
            fits = sum(code in members[group] for group in groups)
            if name in known and fits >= most:
                best, most = name, fits
    if not best:
        raise InputError(f"`{code}` has no place in this world: {', '.join(list(known)[:8])}.")
    return best
