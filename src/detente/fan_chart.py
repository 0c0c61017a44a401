"""A picture of drawn paths: for each party the central path of real income, and bands of the draws."""

from typing import Any

from detente.charts import GAIN, captioned
from detente.drawing import INK
from detente.fan import Fan

Spec = dict[str, Any]
WIDTH, HEIGHT, COLUMNS = 330, 150, 2
WIDE, NARROW = "5 to 95 % of draws", "25 to 75 % of draws"
CENTRAL = "central values"
COLOURS = {
    WIDE: "#cfe0ef",
    NARROW: "#8db9dc",
    CENTRAL: GAIN,
}  # one hue from light to dark: seen without colours too


def bands_spec(found: Fan) -> Spec:
    """Panels of real income by year, one a party, each on a scale of its own: two bands and the central path."""
    rows = [row for row in found.rows() if row["quantity"] == "real_income"]
    begin = found.central.begins(1)
    rows = [row for row in rows if row["year"] >= min(begin, found.years[-1]) - 1]
    panels = [
        _panel(party, [row for row in rows if row["code"] == code]) for party, code in found.central.parties()
    ]
    base, name = found.central.names[:2]
    chart = {"concat": panels, "columns": COLUMNS, "spacing": 22}
    aside = f" ({', '.join(found.lopsided)} at an end of the range drawn)" if found.lopsided else ""
    unit = f"Each panel has its own scale. Line: all parameters at their central values{aside}"
    return captioned(chart, f"{name} against {base}: real income, %", unit, *_told(found))


def _told(found: Fan) -> tuple[str, str]:
    """The caption: what was drawn from what; and the settings."""
    economy, lost = found.central.economy, len(found.failed)
    known, names = economy.provenance, found.draws.names
    drawn = (
        ", ".join(names) if len(names) < 4 else f"{len(names)} parameters of behaviour, measures and capital"
    )
    failed = f", {lost} of them without a solution and left out" if lost else ""
    told = [
        f"{len(found)} draws of {drawn} ({found.draws.method}, seed {found.draws.seed}){failed}",
        f"data of {known['data']['year']}" if "data" in known else "",
        f"horizon {found.ranges.horizon.told}",
        f"deficits {economy.closure}",
    ]
    return "; ".join(filter(None, told)) + ".", f"{found.central.settings.told}.".capitalize()


def _panel(party: str, rows: list[dict[str, Any]]) -> Spec:
    years = [row["year"] for row in rows]
    x = {
        "field": "year",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [min(years), max(years)], "nice": False},
        "axis": {
            "format": "d",
            "tickMinStep": 1,
            "tickCount": 6,
            "grid": False,
            "labelFlush": False,
            "labelPadding": 8,
        },
    }
    scale = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    legend = {
        "title": None,
        "orient": "bottom",
        "symbolType": "square",
        "symbolStrokeWidth": 0,
        "symbolSize": 160,
    }

    def colour(what: str) -> Spec:
        return {"datum": what, "type": "nominal", "scale": scale, "legend": legend}

    def y(name: str) -> Spec:
        return {
            "field": name,
            "type": "quantitative",
            "title": None,
            "axis": {"tickCount": 4, "minExtent": 50},
        }

    def area(low: str, high: str, what: str) -> Spec:
        return {
            "mark": {"type": "area", "line": False},
            "encoding": {"x": x, "y": y(low), "y2": {"field": high}, "color": colour(what)},
        }

    line = {"type": "line", "strokeWidth": 2.5}
    zero = {"mark": {"type": "rule", "color": INK, "strokeWidth": 1}, "encoding": {"y": {"datum": 0}}}
    layers = [
        area("p5", "p95", WIDE),
        area("p25", "p75", NARROW),
        zero,
        {"mark": line, "encoding": {"x": x, "y": y("central"), "color": colour(CENTRAL)}},
    ]
    return {
        "data": {"values": rows},
        "layer": layers,
        "title": {"text": party, "frame": "group"},
        "width": WIDTH,
        "height": HEIGHT,
    }
