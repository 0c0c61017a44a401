"""Charts of an outcome: one function each, one theme, a caption that says what was compared and on which
data.

Every public function takes an `Outcome`, or a `Prospect`, whose expectation it draws, and returns an `altair`
chart, so a user can restyle it;
`save_chart` writes it. They are built as plain Vega-Lite specifications (`*_spec`), which the report draws
directly: altair's checking and copying takes longer than the drawing. Blue is a gain or an increase,
orange a loss or a decrease (colour-blind safe).
"""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import drawing, labels
from .digits import format_usd, nice_ceiling
from .drawing import FONT, INK, QUIET, SCHEMA
from .errors import InputError
from .tables import Row, data_line, expected_over, income_rows, largest, partner_rows, party_name, party_row

if TYPE_CHECKING:
    import altair as alt

    from .comparison import Comparison
    from .prospect import Prospect

Spec = dict[str, Any]
Parties = Sequence[str] | Mapping[str, Sequence[str]]
GAIN, LOSS, MISSING = "#2a6fab", "#c0641a", "#d4d6d9"
DIVERGING = [
    "#8f4410",
    "#c0641a",
    "#e6a468",
    "#f3d8bd",
    "#f6f5f2",
    "#c6dbec",
    "#83b2d9",
    "#2a6fab",
    "#123f6b",
]
NAMES, PLOT, ROW = 150, 370, 23  # pixels: country names, bars, one bar's row
PRODUCTS = {
    "B06": "Crude oil and gas",
    "B06O": "Crude oil",
    "B06P": "Pipeline gas",
    "B06L": "LNG",
    "C19": "Refined oil",
}
THEME: Spec = {
    "font": FONT,
    "background": "#ffffff",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 13, "titleFontSize": 12, "titleFontWeight": "normal", "titleColor": QUIET,
        "labelColor": INK, "gridColor": "#e6e8eb", "domain": False, "ticks": False, "labelLimit": 170,
    },
    "legend": {
        "labelFontSize": 12, "labelColor": INK, "titleFontSize": 12, "titleFontWeight": "normal",
        "titleColor": QUIET,
    },
    "title": {"fontSize": 13, "fontWeight": "bold", "color": INK, "anchor": "start", "subtitleColor": QUIET},
}  # fmt: skip


def real_income_map(outcome: "Comparison") -> "alt.VConcatChart":
    """World map of the change in real income, percent; Equal Earth projection, scale symmetric about zero.

    The scale ends at a round number near the 95th percentile of absolute changes; the caption names the
    countries beyond it. Countries the data do not hold are grey. Land: Natural Earth 1:110m, public domain.
    """
    return to_altair(real_income_map_spec(outcome))


def real_income_bars(outcome: "Comparison", parties: Parties) -> "alt.VConcatChart":
    """Bars of the change in real income, percent, for countries and country groups.

    `parties` are codes or group names, or {heading: codes}, which draws one panel a heading. A panel that
    would flatten the others (over eight times their reach) gets a scale of its own, and says so. Raises
    InputError for an unknown party.
    """
    return to_altair(real_income_bars_spec(outcome, parties))


def trade_by_partner(outcome: "Comparison", country: str = "RUS", top: int = 12) -> "alt.VConcatChart":
    """Change in one country's exports and imports by partner, USD billion, the `top` partners that change
    most.

    The EU27 counts as one partner (unless `country` is a member); the rest is summed. Raises InputError
    for an unknown country.
    """
    return to_altair(trade_by_partner_spec(outcome, country, top))


def trade_by_product(
    outcome: "Comparison", country: str = "RUS", products: Mapping[str, str] = PRODUCTS, top: int = 10
) -> "alt.VConcatChart":
    """Change in one country's exports of some products by buyer, USD billion, the `top` buyers that change
    most.

    `products` maps sector codes to headings; those the data do not hold are left out. Raises InputError if
    none is left.
    """
    return to_altair(trade_by_product_spec(outcome, country, products, top))


# Specifications
# ----------------------------------------------------------------------------------------------


def real_income_map_spec(outcome: "Comparison") -> Spec:
    """The Vega-Lite specification behind `real_income_map`."""
    rows = income_rows(outcome)
    limit, beyond = map_limit([row["value"] for row in rows])
    drawn, land = _land()
    known = [{"id": row["id"], "v": row["value"]} for row in rows if row["id"] in drawn]
    missing = [(labels.label_point(row["code"]), row["value"]) for row in rows if row["id"] not in drawn]
    points = [{"lon": point[0], "lat": point[1], "v": value} for point, value in missing if point]
    outside = sorted((row for row in rows if abs(row["value"]) > limit), key=lambda row: -abs(row["value"]))
    note = "Borders after Natural Earth, Crimea as in UN General Assembly resolution 68/262."
    if points:
        note = f"Circles: places too small for the map. {note}"
    if outside:
        named = ", ".join(f"{row['name']} {row['label']}" for row in outside[:4])
        more = f" and {len(outside) - 4} more" if len(outside) > 4 else ""
        note = f"Colours end at ±{limit:g} %; beyond: {named}{more}. {note}"
    chart = _map(known, points, limit, beyond) | {"datasets": {"land": land}}
    return framed(chart, "Change in real income", "percent", outcome, note)


def real_income_bars_spec(outcome: "Comparison", parties: Parties) -> Spec:
    """The Vega-Lite specification behind `real_income_bars`."""
    panels = parties if isinstance(parties, Mapping) else {"": parties}
    rows = {head: [party_row(outcome, name) for name in names] for head, names in panels.items() if names}
    alone = out_of_scale({head: max(abs(row["value"]) for row in part) for head, part in rows.items()})
    ends = domain([row for head in rows if head not in alone for row in rows[head]], PLOT)
    last = [head for head in rows if head not in alone][-1]
    charts = []
    for head, part in rows.items():
        own = head in alone
        title = {"text": head + (" (on a scale of its own)" if own and head else "")}
        axis = "Change in real income, %" if own or head == last else ""
        charts.append(_bars(part, domain(part, PLOT) if own else ends, PLOT, title=title, axis=axis))
    stacked = {"vconcat": charts, "spacing": 14}
    return framed(stacked, "Change in real income", "percent", outcome)


def trade_by_partner_spec(outcome: "Comparison", country: str = "RUS", top: int = 12) -> Spec:
    """The Vega-Lite specification behind `trade_by_partner`."""
    rows = partner_rows(outcome, country)
    flows = {"exports": "Exports", "imports": "Imports"}
    headline = f"{labels.country_name(country)}: change in trade by partner"
    return framed(_panels(rows, flows, top, outcome.money), headline, f"{outcome.money} a year", outcome)


def trade_by_product_spec(
    outcome: "Comparison", country: str = "RUS", products: Mapping[str, str] = PRODUCTS, top: int = 10
) -> Spec:
    """The Vega-Lite specification behind `trade_by_product`."""
    held = {code: head for code, head in products.items() if code in outcome.data["sector"].values}
    if not held:
        raise InputError(
            f"None of the sectors {', '.join(products)} is in these data, so there is no chart of them. "
            "Pass `products={code: heading}` with codes of the world in use."
        )
    rows = partner_rows(outcome, country, list(held))
    headline = f"{labels.country_name(country)}: change in exports by product and buyer"
    return framed(_panels(rows, held, top, outcome.money), headline, f"{outcome.money} a year", outcome)


def outcomes_spec(prospect: "Prospect", country: str) -> Spec:
    """Bars of the change in one country's real income, percent: expected, then by outcome."""
    sides = {"Expected": prospect, **prospect.outcomes}
    rows = [party_row(side, country) | {"name": name} for name, side in sides.items()]
    headline = f"{party_name(country)}: change in real income by outcome"
    title: Spec = {"text": "", "fontSize": 1}
    weights = ", ".join(f"{entry.name} {entry.weight}" for entry in prospect.situation_after.outcomes)
    bars = _bars(rows, domain(rows, PLOT), PLOT, title=title, axis="Change in real income, %")
    return framed(bars, headline, "Percent", prospect, f"Probabilities: {weights}.")


def map_limit(values: Sequence[float]) -> tuple[float, bool]:
    """End of the colour scale, a round number at or above the 95th percentile of |value|, and whether
    values lie beyond."""
    size = sorted(abs(value) for value in values)
    if not size or size[-1] == 0:
        return 1.0, False
    limit = nice_ceiling(size[math.ceil(0.95 * (len(size) - 1))] or size[-1])
    return limit, size[-1] > limit


def caption(outcome: "Comparison") -> str:
    """What was compared, on which data, under which closure, elasticities and horizon, in one line."""
    about = outcome.provenance
    return (
        f"{outcome.scenario} against {outcome.against}{expected_over(outcome)}. Data: {data_line(outcome)}; "
        f"deficits: {about['closure']}; trade elasticities: {about['elasticities']['name']}; "
        f"horizon: {about['horizon']['told']}."
    )


# Saving ---------------------------------------------------------------------------------------------------


def save_chart(chart: Any, path: str | Path) -> Path:
    """Write a chart as .svg, .png (double density), .html (self-contained, interactive) or .json; returns
    the path.

    Nothing is fetched; the file appears complete or not at all. Raises `InputError` for another ending.
    """
    path = Path(path)
    spec = chart if isinstance(chart, Mapping) else chart.to_dict()
    match path.suffix.lower():
        case ".svg":
            content: str | bytes = drawing.to_svg(spec)
        case ".png":
            content = drawing.to_png(drawing.to_svg(spec))
        case ".html":
            content = drawing.to_html(spec)
        case ".json":
            content = json.dumps(spec, ensure_ascii=False, indent=1)
        case other:
            raise InputError(
                f"A chart cannot be written as `{other}`. Use a name ending in .svg, .png, .html or .json."
            )
    drawing.write_atomically(path, content)
    return path


def bare(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of a chart of this module without its title and caption, for pages that set them
    as text."""
    inner = {key: value for key, value in spec["vconcat"][0].items() if key != "title"}
    kept = {key: value for key, value in spec.items() if key not in {"vconcat", "title", "padding"}}
    return kept | inner


def words_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """The words around a chart of this module: `headline`, `unit`, `caption` and a `note` of its own,
    perhaps empty."""
    return spec["usermeta"]


# Parts ------------------------------------------------------------------------------------------------------


def to_altair(spec: Spec) -> "alt.VConcatChart":
    """The specification as an altair chart."""
    import altair as alt

    return alt.VConcatChart.from_dict(spec)


def _panels(rows: Sequence[Row], flows: Mapping[str, str], top: int, unit: str) -> Spec:
    """Panels of bars side by side, one a flow, the same partners in each."""
    shown, width, charts = largest(rows, top, list(flows)), PLOT // 2, []
    for flow, head in flows.items():
        before, after = (sum(row[f"{flow}_{when}"] for row in rows) for when in ("before", "after"))
        total = f"{format_usd(after - before)} in all, from {format_usd(before, sign=False)}"
        bars = [{"name": row["name"], "value": row[flow], "label": format_usd(row[flow])} for row in shown]
        title = {"text": head, "subtitle": total}
        names = flow == next(iter(flows))
        charts.append(
            _bars(bars, domain(bars, width), width, title=title, axis=f"Change, {unit}", names=names)
        )
    return {"hconcat": charts, "spacing": 24}


def out_of_scale(reach: Mapping[str, float]) -> set[str]:
    """The panels that would flatten the others: those above the last gap of more than eight times in
    `reach`."""
    ranked = sorted(reach, key=lambda head: -reach[head])
    gaps = [at for at in range(1, len(ranked)) if reach[ranked[at - 1]] > 8 * reach[ranked[at]] > 0]
    return set(ranked[: gaps[-1]]) if gaps else set()


def domain(rows: Sequence[Row], width: int) -> list[float]:
    """Ends of a bar axis with zero inside and room for the labels that stand at the bars' ends."""
    values = [row["value"] for row in rows if math.isfinite(row["value"])]
    low, high = min([0.0, *values]), max([0.0, *values])
    span = (high - low) or 1.0
    share = min(0.4, (8 + 7.2 * max(len(row["label"]) for row in rows)) / width)
    room = span * share / (1 - share * ((low < 0) + (high > 0)))
    return [low - room if low < 0 else -0.01 * span, high + room if high > 0 else 0.01 * span]


def _bars(
    rows: Sequence[Row], domain: list[float], width: int, *, title: Spec, axis: str, names: bool = True
) -> Spec:
    """Horizontal bars in the given order, a value label at each bar's end, colour by sign."""
    wide = width == PLOT
    shown = {"labelPadding": 8, "minExtent": NAMES if wide else 0}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": shown if names else None}
    ticks = {"tickCount": 4 if wide else 3, "labelFontSize": 11, "labelColor": QUIET, "labels": bool(axis)}
    scale = {"domain": domain, "nice": False}
    x = {"field": "value", "type": "quantitative", "scale": scale, "axis": ticks, "title": axis or None}
    colour = {"condition": {"test": "datum.value < 0", "value": LOSS}, "value": GAIN}
    text = {"type": "text", "baseline": "middle", "fontSize": 12, "color": INK}
    label = {"y": y, "text": {"field": "label", "type": "nominal"}}
    layers = [
        {"mark": {"type": "bar", "height": {"band": 0.66}}, "encoding": {"y": y, "color": colour}},
        {"mark": {"type": "rule", "color": QUIET}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": text | {"align": "left", "dx": 4},
            "transform": [{"filter": "datum.value >= 0"}],
            "encoding": label,
        },
        {
            "mark": text | {"align": "right", "dx": -4},
            "transform": [{"filter": "datum.value < 0"}],
            "encoding": label,
        },
    ]
    values = [
        {key: row[key] for key in ("name", "value", "label")} for row in rows if math.isfinite(row["value"])
    ]
    size = {"width": width, "height": ROW * len(values)}
    return {"data": {"values": values}, "encoding": {"x": x}, "layer": layers, "title": title} | size


def _map(known: Sequence[Row], points: Sequence[Row], limit: float, beyond: bool) -> Spec:
    """Grey land, coloured countries, circles for the small; expects a dataset `land` of TopoJSON text."""
    ends = f"(datum.value >= {limit} ? '≥ ' : datum.value <= {-limit} ? '≤ ' : '')" if beyond else "''"
    below = {"orient": "bottom", "offset": 4}
    legend = below | {
        "title": "Change in real income, %", "direction": "horizontal", "gradientLength": 300,
        "values": [-limit, 0, limit], "titleLimit": 300, "titleFontSize": 15,
        "labelFontSize": 15, "gradientThickness": 13,
        "labelExpr": f"{ends} + (datum.value > 0 ? '+' : '') + format(datum.value, '~g')",
    }  # fmt: skip
    scale = {"domain": [-limit, limit], "range": DIVERGING, "clamp": True, "interpolate": "lab"}
    colour = {"color": {"field": "v", "type": "quantitative", "scale": scale, "legend": legend}}
    grey = {
        "field": "none", "type": "nominal", "scale": {"domain": ["not in the data"], "range": [MISSING]},
        "legend": below | {"title": " ", "symbolType": "square", "symbolStrokeWidth": 0, "labelFontSize": 15},
    }  # fmt: skip
    land = {"name": "land", "format": {"type": "topojson", "feature": "countries"}}
    lookup = {"lookup": "id", "from": {"data": {"values": list(known)}, "key": "id", "fields": ["v"]}}
    shape = {"type": "geoshape", "stroke": "#ffffff", "strokeWidth": 0.4}
    absent = [{"filter": "!isValid(datum.v)"}, {"calculate": "'not in the data'", "as": "none"}]
    small = {
        "longitude": {"field": "lon", "type": "quantitative"},
        "latitude": {"field": "lat", "type": "quantitative"},
    }
    width, height = 560, 264
    turned = [-11, 0, 0]  # cuts the world in the Bering Strait, so that Russia stays whole
    where = {
        "type": "equalEarth",
        "rotate": turned,
        "scale": 115.5,
        "translate": [291, 157],
    }
    filled = [
        {
            "mark": shape,
            "data": land,
            "transform": [lookup, {"filter": "isValid(datum.v)"}],
            "encoding": colour,
        }
    ]
    dots = {"type": "circle", "size": 34, "opacity": 1, "stroke": QUIET, "strokeWidth": 0.7}
    filled += [{"mark": dots, "data": {"values": list(points)}, "encoding": small | colour}] if points else []
    base = {
        "mark": shape,
        "data": land,
        "transform": [{"filter": "datum.id !== '010'"}, lookup, *absent],
        "encoding": {"color": grey},
    }
    layers = [layer | {"projection": where} for layer in (base, *filled)]
    grouped = [layers[0], {"layer": layers[1:]}]
    return {
        "layer": grouped,
        "resolve": {"scale": {"color": "independent"}},
        "width": width,
        "height": height,
    }


def framed(chart: Spec, headline: str, unit: str, outcome: "Comparison", note: str = "") -> Spec:
    """Title above, caption below, the theme around."""
    return captioned(chart, headline, unit, caption(outcome), note)


def captioned(chart: Spec, headline: str, unit: str, told: str, note: str = "") -> Spec:
    """The same for charts of other things than an outcome, `told` being the caption."""
    words = {"headline": headline, "unit": unit, "caption": told, "note": note}
    titled = chart | {"title": {"text": headline, "subtitle": unit, "fontSize": 16, "offset": 12}}
    datasets = titled.pop("datasets", {})
    lines = [line for part in (words["caption"], note) for line in textwrap.wrap(part, 100)]
    foot = {
        "text": lines,
        "orient": "bottom",
        "fontSize": 11,
        "fontWeight": "normal",
        "color": QUIET,
        "offset": 14,
    }
    outer = {
        "$schema": SCHEMA,
        "vconcat": [titled],
        "title": foot,
        "padding": 12,
        "usermeta": words,
        "config": THEME,
    }
    return outer | ({"datasets": datasets} if datasets else {})


@cache
def _land() -> tuple[frozenset[str], str]:
    """The ids of the countries on the map, and the map as TopoJSON text."""
    text = (labels.DATA / "world_map.json").read_text(encoding="utf-8")
    shapes = json.loads(text)["objects"]["countries"]["geometries"]
    return frozenset(str(shape["id"]) for shape in shapes if shape.get("id")), text
