"""Pictures and tables of a coalition: λ before and after an exit, and who presses against who pays."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .answers import amount, as_number, listed, span, whole
from .charts import PLOT, Spec, captioned
from .drawing import INK, QUIET
from .findings import Finding
from .game import bits
from .measure import named
from .senders import Coalition
from .tables import party_name

NOW, AFTER = "#0f7b6c", "#c9a227"  # of split_chart: distinct for the colour-blind, and neither gain nor loss
PRESSURE, COST = "#7b4ea3", "#c9a227"
NAMES, ROW, BAND = 150, 34, 7  # pixels: country names, a member's row, from its middle to either mark
MORE = {"symbolType": "circle", "symbolStrokeWidth": 0, "orient": "bottom", "title": None, "labelLimit": PLOT}


def specs(content: Mapping[str, Any], of: Coalition) -> dict[str, Spec]:
    """{name of a file: Vega-Lite specification}, from the object that the command prints as JSON."""
    made = {"burden": burden_spec(content["readings"], of)}
    if 0 < len(content["exit"]) < len(content["members"]):
        made["break_even"] = break_even_spec(content["readings"], of)
    if "over_time" in content:
        made["over_time"] = over_time_spec(content["over_time"], content["exit"], of)
    return made


def break_even_spec(found: Sequence[Finding], of: Coalition) -> Spec:
    """Break-even λ of each member, now and after the exit: a dot at the first reading, a line over the range of all."""
    left = listed([named(code) for code in found[0]["exit"]])
    series = {"break_even": "All keep", "break_even_after": f"After the exit of {left}"}
    members = [each["members"] for each in found]
    rows, beyond = _levels({title: (members, key) for key, title in series.items()})
    note = "A dot is the first set of elasticities, a line the range of all. Keeping pays to the right of the dot."
    if beyond:
        note += f" Not shown, no finite λ: {listed(beyond)}."
    chart = _dots(rows, list(series.values()), of)
    return captioned(
        chart,
        "What must a dollar of the target's loss be worth for keeping to pay?",
        "λ",
        _caption(found, of),
        note,
    )


def over_time_spec(told: Mapping[str, Any], left: Sequence[str], of: Coalition) -> Spec:
    """Break-even λ of those who stay, after the exit, in one year and over years; marks as in `break_even_spec`."""
    first, last = told["years"]
    series = {"one_year": "One year", "over_years": "Over years"}
    sides = {title: [each[key]["members"] for each in told["readings"]] for key, title in series.items()}
    rows, beyond = _levels({title: (members, "break_even_after") for title, members in sides.items()})
    note = (
        f"After the exit of {listed([named(code) for code in left])}. A dot is the first set of elasticities, a line the "
        f"range of all. Over years: {first} to {last} and after, annuities at {100 * told['rate']:g} % a year; "
        f"{told['settings']}."
    )
    if beyond:
        note += f" Not shown where no λ keeps: {listed(beyond)}."
    return captioned(
        _dots(rows, list(series.values()), of),
        "What must a dollar of the target's loss be worth, in one year and over years?",
        "λ",
        _caption(told["readings"], of),
        note,
    )


def _levels(series: Mapping[str, tuple[Sequence[Any], str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of break-even λs, from {title: (members of each reading, key)}, and whom no finite λ keeps."""
    rows, beyond = [], []
    for k in range(len(next(iter(series.values()))[0][0])):
        for at, (title, (readings, key)) in enumerate(series.items()):
            name = readings[0][k]["name"]
            values = [members[k][key] for members in readings]
            numbers = [as_number(value) for value in values if value is not None]
            if numbers and all(np.isfinite(numbers)):
                ends = {"value": numbers[0], "low": min(numbers), "high": max(numbers)}
                rows.append({"name": name, "series": title, "at": at} | ends)
            elif numbers:
                beyond.append(name)
    return rows, list(dict.fromkeys(beyond))


def _dots(rows: Sequence[Mapping[str, Any]], series: Sequence[str], of: Coalition) -> Spec:
    """A dot and a line a row of `_levels`."""
    title = f"λ, {of.money} of own cost for one of {party_name(of.target)}'s loss"
    x = {"type": "quantitative", "title": title}
    mark = {"type": "point", "filled": True, "size": 80, "opacity": 1}
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}},
        },
        {"mark": mark, "encoding": {"x": x | {"field": "value"}}},
    ]
    return _grouped(rows, layers, {"domain": list(series), "range": [NOW, AFTER]})


def burden_spec(found: Sequence[Finding], of: Coalition) -> Spec:
    """Each member's part of pressure and of cost, in percent of all members'; the mean of the readings."""
    series = {"pressure": "Part of the pressure", "cost": "Part of the cost"}
    rows = []
    for k, member in enumerate(found[0]["members"]):
        for at, (key, title) in enumerate(series.items()):
            parts = [_part(each, k, key) for each in found]
            label = span(parts, whole)
            value, end = float(np.mean(parts)), max([0.0, *parts])
            rows.append(
                {
                    "name": member["name"],
                    "series": title,
                    "at": at,
                    "value": value,
                    "end": end,
                    "label": label,
                }
            )
    x = {"type": "quantitative", "title": "Percent of all members together"}
    colours = {"domain": list(series.values()), "range": [PRESSURE, COST]}
    bar = {"type": "bar", "height": 11}
    text = {"type": "text", "align": "left", "baseline": "middle", "dx": 4, "fontSize": 11, "color": INK}
    high = max(row["end"] for row in rows)
    room = {"scale": {"domainMax": 1.15 * high}}
    label = {"text": {"field": "label", "type": "nominal"}, "color": {"value": INK}}
    layers = [
        {"mark": bar, "encoding": {"x": x | {"field": "value"} | room}},
        {"mark": text, "encoding": {"x": x | {"field": "end"} | room} | label},
    ]
    total = span([sum(as_number(row["cost"]) for row in each["members"]) for each in found], amount)
    note = f"All members together bear {total} {of.money} a year. A part below zero is a gain from what the others keep."
    return captioned(
        _grouped(rows, layers, colours), "Who presses, and who pays", "percent", _caption(found, of), note
    )


def _part(each: Finding, k: int, key: str) -> float:
    rows = each["members"]
    return 100 * as_number(rows[k][key]) / sum(as_number(row[key]) for row in rows)


def _grouped(rows: Sequence[Mapping[str, Any]], layers: Sequence[Spec], colours: Spec) -> Spec:
    """Layers of one row a member, its two series above one another."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    axis = {"labelPadding": 8, "minExtent": NAMES}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": axis}
    y |= {"scale": {"domain": names}}
    offset = {"field": "at", "type": "nominal", "sort": None}
    colour = {"field": "series", "type": "nominal", "scale": colours, "legend": MORE}
    shared = {"y": y, "yOffset": offset, "color": colour}
    zero = {"mark": {"type": "rule", "color": QUIET}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}}
    drawn = [layer | {"encoding": shared | layer["encoding"]} for layer in layers]
    size = {"width": PLOT, "height": ROW * len(names)}
    return {"data": {"values": list(rows)}, "layer": [zero, *drawn]} | size


def _caption(found: Sequence[Finding], of: Coalition) -> str:
    about = of.economy.provenance.get("data", {})
    data = about.get("title", "shares given by the user")
    return (
        f"{len(of.members)} members against {party_name(of.target)}, {2 ** len(of.members)} coalitions of "
        f"{of.keep.name}. Data: {data}; deficits: {of.economy.closure}; trade elasticities: "
        f"{', '.join(each['elasticities'] for each in found)}; horizon: "
        f"{of.economy.provenance.get('horizon', {}).get('told') or 'given by the user'}."
    )


# Tables -----------------------------------------------------------------------------------------------------


def csv_tables(content: Mapping[str, Any], solved: Sequence[Coalition]) -> dict[str, str]:
    """{name of a file: CSV}: members and exits by reading, and every coalition with what it does to all parties."""
    readings = content["readings"]
    members = [{"elasticities": each["elasticities"]} | row for each in readings for row in each["members"]]
    exits = [
        {"elasticities": each["elasticities"], "party": party, "leaver": leaver, "gain": gain}
        for each in readings
        for party, gains in each["exits"].items()
        for leaver, gain in gains.items()
    ]
    coalitions = []
    for each, of in zip(readings, solved, strict=True):
        named = dict(zip(of.members, of.own, strict=True))
        for mask in range(2 ** len(of.members)):
            keep = " ".join(of.members[k] for k in bits(mask))
            head = {"elasticities": each["elasticities"], "coalition": mask, "keep": keep}
            worth = {code: float(values[mask]) for code, values in named.items()}
            coalitions.append(head | {"target": float(of.on_target[mask])} | worth)
    return {"members": _csv(members), "exits": _csv(exits), "coalitions": _csv(coalitions)}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with io.StringIO(newline="") as stream:
        writer = csv.DictWriter(stream, keys, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue()
