"""Pictures of transition paths: real income by year, gain by date of lifting, foreign capital by owner, and a fan."""

from typing import Any

from detente import labels
from detente.charts import GAIN, captioned
from detente.digits import format_percent
from detente.drawing import INK, QUIET
from detente.transition import Transition

Spec = dict[str, Any]
WIDTH, HEIGHT = 520, 260
STEP = 15  # pixels between two names
PALE, REST = "#83b2d9", "#b6bcc2"
PALETTE = [  # of Okabe and Ito, its yellow darker: told apart by the colour-blind
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#444444", "#8c7d00", "#7a5195",
]  # fmt: skip


def paths_spec(found: Transition) -> Spec:
    """Lines of real income by year, percent against the path compared with, for the main parties.

    The target stands above on a scale of its own; names stand at the ends of lines.
    """
    target = labels.country_name(found.target)
    lines = {name: found.mean_path(code).tolist() for name, code in found.parties()}
    colours = dict(zip(lines, PALETTE * 2, strict=False))
    parts = [{name: line for name, line in lines.items() if (name == target) == own} for own in (True, False)]
    panels = [_lines(part, found.years, colours) for part in parts]
    title = f"{_what(found)} against {found.names[0]}: real income, %"
    return _framed({"vconcat": panels, "spacing": 26}, found, title, "Each panel has its own scale")


def _what(found: Transition) -> str:
    return found.names[-1] if found.weight is None else "Relief that may end, expected,"


def _lines(lines: dict[str, list[float]], years: tuple[int, ...], colours: dict[str, str]) -> Spec:
    """One panel of named lines."""
    values = [x for line in lines.values() for x in line]
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.04 * ((high - low) or 1.0)
    rows = [
        {"party": name, "year": year, "value": value}
        for name, line in lines.items()
        for year, value in zip(years, line, strict=True)
    ]
    axes = _axes(None)
    axes["y"] |= {"scale": {"domain": [low - room, high + room], "nice": False}}
    colour = {
        "field": "party",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
    }
    line = {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": axes | {"color": colour}}
    return {
        "layer": [line, _zero(), *_names_at_ends(lines, colours, low - room, high + room)],
        "data": {"values": rows},
        "width": WIDTH,
        "height": HEIGHT,
    }


def _names_at_ends(
    lines: dict[str, list[float]], colours: dict[str, str], low: float, high: float
) -> list[Spec]:
    """Names beside the last values, moved apart where they would cover each other."""
    places = {name: HEIGHT * (high - line[-1]) / (high - low) for name, line in lines.items()}
    order, at = sorted(places, key=lambda name: places[name]), 0.0
    for name in order:
        at = places[name] = max(places[name], at)
        at += STEP
    at = HEIGHT + 8.0
    for name in reversed(order):
        at = places[name] = min(places[name], at)
        at -= STEP
    return [
        {
            "mark": {
                "type": "text", "text": f"{name} {format_percent(lines[name][-1])}", "align": "left", "baseline": "middle",
                "fontSize": 12, "color": colours[name], "dx": 8,
            },
            "data": {"values": [{}]},
            "encoding": {"x": {"value": WIDTH}, "y": {"value": places[name]}},
        }
        for name in order
    ]  # fmt: skip


def _zero() -> Spec:
    return {
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1},
        "data": {"values": [{}]},
        "encoding": {"y": {"datum": 0}},
    }


def gain_spec(found: Transition, country: str | None = None) -> Spec:
    """Bars of the present value of consumption gained, at the date of lifting, by year of lifting, USD billion."""
    here = country or found.target
    gains = found.gain_by_date(here)
    window = found.years[-1] - int(gains[-1]["year"]) + 1
    parts = {"transition": f"in the first {window} years", "terminal": "after these, going on for ever"}
    rows = [
        {"year": int(row["year"]), "part": told, "value": row[part], "order": k}
        for row in gains
        for k, (part, told) in enumerate(parts.items())
    ]
    encoding = {
        "x": {"field": "year", "type": "ordinal", "title": "lifted in", "axis": {"labelAngle": 0}},
        "y": {"field": "value", "type": "quantitative", "title": None},
        "order": {"field": "order"},
        "color": {
            "field": "part",
            "type": "nominal",
            "scale": {"domain": list(parts.values())[::-1], "range": [PALE, GAIN]},
            "legend": {"title": None},
        },
    }
    title = f"What lifting is worth to {labels.country_name(here)}, by year of lifting"
    unit = f"Consumption gained, USD billion at the date of lifting, {100 * found.settings.rate:g} % a year"
    return _framed(_panel(rows, encoding, {"type": "bar"}), found, title, unit)


def owners_spec(found: Transition, path: int = -1, most: int = 8) -> Spec:
    """Areas of foreign capital in the target by owner, USD billion; owners beyond the largest are summed."""
    stock = found.data["foreign_capital"].isel(path=path)
    first = dict(zip(found.economy.countries, stock.isel(year=0).values.tolist(), strict=True))
    order = sorted(first, key=lambda code: -first[code])
    rows, rank = [], {labels.country_name(code): k for k, code in enumerate(order[:most])} | {"others": most}
    for year in found.years:
        amounts = dict(zip(found.economy.countries, stock.sel(year=year).values.tolist(), strict=True))
        named = {labels.country_name(code): amounts[code] for code in order[:most] if amounts[code] > 0}
        named["others"] = sum(amounts[code] for code in order[most:])
        rows += [
            {"owner": name, "year": year, "value": value, "order": -rank[name]}
            for name, value in named.items()
        ]
    names = list(dict.fromkeys(row["owner"] for row in rows))
    encoding = (
        _axes(None)
        | {
            "order": {"field": "order"},  # the largest on top, as in the list beside it
            "color": {
                "field": "owner",
                "type": "nominal",
                "scale": {"domain": names, "range": [*PALETTE[: len(names) - 1], REST]},
                "legend": {"title": None},
            },
        }
    )
    title = f"Foreign capital in {labels.country_name(found.target)} by owner: {found.names[path]}"
    mark = {"type": "area", "stroke": "#ffffff", "strokeWidth": 0.6}
    return _framed(_panel(rows, encoding, mark), found, title, "USD billion, at book value")


def fan_spec(found: Transition, country: str | None = None) -> Spec:
    """Paths of one country's real income over the years of reversal, and their mean by probability, percent."""
    here = country or found.target
    lines = found.group(here)
    rows = [
        {"path": name, "year": year, "value": float(value)}
        for name, line in zip(found.names[1:], lines[1:], strict=True)
        for year, value in zip(found.years, line, strict=True)
    ]
    mean = [
        {"path": "expected", "year": y, "value": float(v)}
        for y, v in zip(found.years, found.mean_path(here), strict=True)
    ]
    thin = {
        "mark": {"type": "line", "color": QUIET, "opacity": 0.6, "strokeWidth": 0.9},
        "data": {"values": rows},
    }
    thick = {"mark": {"type": "line", "color": GAIN, "strokeWidth": 3}, "data": {"values": mean}}
    axes = _axes(None)
    layers = [thin | {"encoding": axes | {"detail": {"field": "path"}}}, _zero(), thick | {"encoding": axes}]
    title = f"Relief that may end: real income of {labels.country_name(here)}, % against {found.names[0]}"
    chance = f"{100 * found.settings.reversal:g} %"
    unit = f"Thin: relief that ends in one of the years, or never. Thick: expected, with a chance of {chance} a year"
    return _framed({"layer": layers, "width": WIDTH, "height": HEIGHT}, found, title, unit)


def pictures(found: Transition) -> dict[str, Spec]:
    """{name of a file: picture} of all that a transition has."""
    made = {"paths": paths_spec(found)}
    if found.weight is not None:
        made["fan"] = fan_spec(found)
    elif len(found.names) > 2:
        made["gain"] = gain_spec(found)
    if found.maker.holdings is not None:
        made["owners"] = owners_spec(found)
    return made


def _axes(title: str | None) -> Spec:
    return {
        "x": {
            "field": "year",
            "type": "quantitative",
            "title": None,
            "axis": {"format": "d", "tickMinStep": 1, "grid": False, "labelFlush": False, "labelPadding": 8},
            "scale": {"zero": False, "nice": False},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": title,
            "axis": {"minExtent": 44, "tickCount": 6},
        },
    }


def _panel(rows: list[dict[str, Any]], encoding: Spec, mark: Spec) -> Spec:
    return {"mark": mark, "data": {"values": rows}, "encoding": encoding, "width": WIDTH, "height": HEIGHT}


def _framed(chart: Spec, found: Transition, headline: str, unit: str) -> Spec:
    economy = found.economy
    data = f"Data of {economy.provenance['data']['year']}; " if "data" in economy.provenance else ""
    told = f"{data}deficits {economy.closure}; {found.maker.settings.told}."
    return captioned(chart, headline, unit, told[0].upper() + told[1:])
