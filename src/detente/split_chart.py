"""The chart of where welfare changes come from: stacked bars, one colour a part, a mark at the sum."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .charts import PLOT, ROW, Spec, domain, framed, out_of_scale, to_altair
from .digits import format_percent
from .drawing import INK, QUIET
from .tables import PARTS, Row, split_rows, split_shown

if TYPE_CHECKING:
    import altair as alt

    from .comparison import Comparison

# distinct for the colour-blind, and none of the blue and orange that mean gain and loss elsewhere
COLOURS = {
    "terms_of_trade": "#0f7b6c",
    "volume_of_trade": "#c9a227",
    "trade_cost": "#7b4ea3",
    "transfers": "#8d96a0",
    "reallocation": "#d17ba6",
    "residual": "#2b2b2b",
}
NAMES = 150  # pixels for country names
HEADLINE = "Where the change in real income comes from"


def welfare_split(outcome: "Comparison", parties: Mapping[str, Sequence[str]]) -> "alt.VConcatChart":
    """Stacked bars of the parts of the change in real income, percent of spending; a diamond marks the sum.

    parties: {heading: codes or group names}, one panel a heading. Raises InputError for an unknown party.
    """
    return to_altair(
        welfare_split_spec(
            outcome, {head: split_rows(outcome, names) for head, names in parties.items() if names}
        )
    )


def welfare_split_spec(outcome: "Comparison", panels: Mapping[str, Sequence[Row]]) -> Spec:
    """The Vega-Lite specification behind `welfare_split`, from {heading: rows of `tables.split_rows`}."""
    shown = list(split_shown([row for rows in panels.values() for row in rows]))
    reach = {head: max(_reach(row, shown) for row in rows) for head, rows in panels.items()}
    alone = out_of_scale(reach)
    last = [head for head in panels if head not in alone][-1]
    common = [row for head, rows in panels.items() if head not in alone for row in rows]
    charts = []
    for head, rows in panels.items():
        own = head in alone
        title = {"text": head + (" (on a scale of its own)" if own and head else "")}
        axis = "Change in real income, %" if own or head == last else ""
        charts.append(_stacked(rows, rows if own else common, shown, title, axis))
    note = "The diamond and the figure are the sum. Parts to the left of zero lower it, parts to the right raise it."
    return framed({"vconcat": charts, "spacing": 14}, HEADLINE, "percent of spending", outcome, note)


def alternative(panels: Mapping[str, Sequence[Row]]) -> str:
    """What the chart shows, for those who cannot see it."""
    rows = [row for part in panels.values() for row in part]
    shown = split_shown(rows)
    told = "; ".join(
        f"{row['name']} {format_percent(row['total'])}, of which "
        + ", ".join(f"{title.lower()} {format_percent(row[part])}" for part, title in shown.items())
        for row in rows[:3]
    )
    return f"Stacked bars of the parts of the change in real income: {told}."


def _reach(row: Row, shown: Sequence[str]) -> float:
    """How far from zero a bar goes."""
    values = [row[part] for part in shown]
    return max(sum(v for v in values if v > 0), -sum(v for v in values if v < 0))


def _stacked(
    rows: Sequence[Row], scaled: Sequence[Row], shown: Sequence[str], title: Spec, axis: str
) -> Spec:
    """One panel: bars stacked either side of zero, the sum as a diamond with its figure beyond the bar."""
    ends = [
        {
            "value": sign * sum(sign * row[part] for part in shown if sign * row[part] > 0),
            "label": "−0.0000 %",
        }
        for row in scaled
        for sign in (1, -1)
    ]
    bounds = domain(ends, PLOT)
    values = [
        {"name": row["name"], "part": PARTS[part], "value": row[part]} for row in rows for part in shown
    ]
    sums = [
        {
            "name": row["name"],
            "value": row["total"],
            "label": format_percent(row["total"]),
            "end": max(0.0, sum(row[part] for part in shown if row[part] > 0)),
        }
        for row in rows
    ]
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    y |= {"axis": {"labelPadding": 8, "minExtent": NAMES}}
    ticks = {"tickCount": 4, "labelFontSize": 11, "labelColor": QUIET, "labels": bool(axis)}
    x = {"field": "value", "type": "quantitative", "scale": {"domain": bounds, "nice": False}}
    x |= {"axis": ticks, "title": axis or None}
    scale = {"domain": [PARTS[part] for part in shown], "range": [COLOURS[part] for part in shown]}
    legend = {"orient": "bottom", "title": None, "columns": 3, "symbolType": "square", "symbolStrokeWidth": 0}
    colour = {"field": "part", "type": "nominal", "scale": scale, "legend": legend, "sort": None}
    text = {"type": "text", "baseline": "middle", "fontSize": 12, "color": INK, "align": "left", "dx": 8}
    layers = [
        {
            "data": {"values": values},
            "mark": {"type": "bar", "height": {"band": 0.66}},
            "encoding": {"y": y, "x": x | {"stack": "zero"}, "color": colour},
        },
        {"mark": {"type": "rule", "color": QUIET}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
        {
            "mark": {
                "type": "point",
                "shape": "diamond",
                "filled": True,
                "size": 60,
                "color": INK,
                "opacity": 1,
                "stroke": "#ffffff",
                "strokeWidth": 1,
            },
            "encoding": {"y": y, "x": x},
        },
        {
            "mark": text,
            "encoding": {
                "y": y,
                "x": x | {"field": "end"},
                "text": {"field": "label", "type": "nominal"},
            },
        },
    ]
    size = {"width": PLOT, "height": ROW * len(rows)}
    return {"data": {"values": sums}, "layer": layers, "title": title} | size
