"""The files about a spread: bands and drivers as CSV, all of it as JSON, and two pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .charts import GAIN, NAMES, PLOT, ROW, Spec, domain, framed, out_of_scale, save_chart
from .digits import format_percent
from .drawing import INK, QUIET, write_atomically
from .spread import Spread
from .tables import Row

if TYPE_CHECKING:
    import altair as alt

    from .comparison import Comparison
    from .draws import Ranking

PALE = "#9dbfdd"
ENDS = ("p5", "p25", "p50", "p75", "p95")


def write(spread: Spread, folder: str | Path) -> dict[str, Path]:
    """Write bands.csv, spread.json, charts/bands.svg and .png; for draws by `saltelli` drivers.csv and charts/drivers too.

    Returns {name: path}; each file appears whole or not at all. Raises `InputError` where no draw was solved.
    """
    place, made = Path(folder), {}
    texts = {"bands.csv": spread.bands().to_csv(index=False)}
    told = spread.to_json()
    texts["spread.json"] = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    specs = {"bands": bands_spec(spread)}
    if spread.rankings:
        import pandas as pd

        texts["drivers.csv"] = pd.DataFrame(told["drivers"]).to_csv(index=False)
        specs["drivers"] = drivers_spec(spread)
    for name, text in texts.items():
        write_atomically(place / name, text)
        made[name] = place / name
    for name, spec in specs.items():
        for ending in ("svg", "png"):
            made[f"charts/{name}.{ending}"] = save_chart(spec, place / "charts" / f"{name}.{ending}")
    return made


def bands_chart(spread: Spread) -> "alt.VConcatChart":
    """Bands of the change in real income by party: a line from 5 to 95 %, a bar from 25 to 75 %, a tick at the median."""
    from .charts import to_altair

    return to_altair(bands_spec(spread))


def drivers_chart(spread: Spread) -> "alt.VConcatChart":
    """Total indices of what drives real income, the largest first, with their confidence intervals; one panel a party."""
    from .charts import to_altair

    return to_altair(drivers_spec(spread))


def bands_spec(spread: Spread) -> Spec:
    """The Vega-Lite specification behind `bands_chart`."""
    rows = [row for row in spread.band_rows() if row["quantity"] == "real_income"]
    reach = {row["party"]: max(abs(row["p5"]), abs(row["p95"])) for row in rows}
    alone = out_of_scale(reach)
    parts = [[row for row in rows if (row["party"] in alone) == own] for own in (True, False)]
    parts = [part for part in parts if part]
    charts = [_bands(part, PLOT, len(parts) > 1 and k == 0) for k, part in enumerate(parts)]
    failed = len(spread.failed)
    note = "Line: 5 to 95 % of the draws; bar: 25 to 75 %; tick and figure: the median. "
    note += f"{len(spread)} draws ({spread.ensemble.method})" + (
        f", {failed} of them without a solution and left out." if failed else "."
    )
    return framed({"vconcat": charts, "spacing": 14}, "Change in real income", "percent", _told(spread), note)


def drivers_spec(spread: Spread) -> Spec:
    """The Vega-Lite specification behind `drivers_chart`: the first two parties that the draws move."""
    charts = [_tornado(name, found) for (name, _), found in list(spread.rankings.items())[:2]]
    note = "Total index (Sobol 2001): the share of the variance that would stay if all other parameters were known. "
    note += "Lines: 95 % intervals."
    head = "What drives the change in real income"
    return framed(
        {"vconcat": charts, "spacing": 18}, head, "share of the variance over draws", _told(spread), note
    )


def _told(spread: Spread) -> "Comparison":
    """The spread as what a caption needs of a comparison: names and provenance, which it has."""
    return cast("Comparison", spread)


def _axis(ends: Sequence[float], title: str) -> Spec:
    ticks = {"tickCount": 4, "labelFontSize": 11, "labelColor": QUIET}
    scale = {"domain": list(ends), "nice": False}
    return {"type": "quantitative", "scale": scale, "axis": ticks, "title": title}


def _names(field: str = "name") -> Spec:
    shown = {"labelPadding": 8, "minExtent": NAMES}
    return {"field": field, "type": "nominal", "sort": None, "title": None, "axis": shown}


def _bands(rows: Sequence[Mapping[str, Any]], width: int, own: bool) -> Spec:
    """One panel: a line, a bar and a tick a party, the median as a figure at the right end of the line."""
    values: list[Row] = [
        {"name": row["party"], "label": format_percent(row["p50"])} | {key: row[key] for key in ENDS}
        for row in rows
    ]
    ends = [{"value": row[key], "label": row["label"]} for row in values for key in ("p5", "p95")]
    x, y = _axis(domain(ends, width), "Change in real income, %"), _names()
    text = {"type": "text", "baseline": "middle", "align": "left", "dx": 6, "fontSize": 12, "color": INK}

    def span(low: str, high: str, mark: Spec) -> Spec:
        return {"mark": mark, "encoding": {"y": y, "x": x | {"field": low}, "x2": {"field": high}}}

    layers = [
        {"mark": {"type": "rule", "color": QUIET}, "encoding": {"x": x | {"datum": 0}}},
        span("p5", "p95", {"type": "rule", "color": GAIN, "strokeWidth": 1.5}),
        span("p25", "p75", {"type": "bar", "color": PALE, "height": 10}),
        {
            "mark": {"type": "tick", "color": INK, "thickness": 2, "size": 14},
            "encoding": {"y": y, "x": x | {"field": "p50"}},
        },
        {
            "mark": text,
            "encoding": {"y": y, "x": x | {"field": "p95"}, "text": {"field": "label", "type": "nominal"}},
        },
    ]
    title = {"text": "On a scale of its own" if own else ""}
    return {
        "data": {"values": values},
        "layer": layers,
        "title": title,
        "width": width,
        "height": ROW * len(values),
    }


def _tornado(name: str, found: "Ranking") -> Spec:
    """One panel: a bar a parameter, the largest first, and its interval."""
    values: list[Row] = [
        {"name": each.name, "value": each.total, "label": f"{each.total:.2f}"}
        | {"low": max(0.0, each.total - each.total_confidence), "high": each.total + each.total_confidence}
        for each in found.drivers
    ]
    x, y = _axis([0, 1.05 * max(1.0, *(row["high"] for row in values))], "Total index"), _names()
    layers = [
        {
            "mark": {"type": "bar", "color": PALE, "height": {"band": 0.6}},
            "encoding": {"y": y, "x": x | {"field": "value"}},
        },
        {
            "mark": {"type": "rule", "color": INK},
            "encoding": {"y": y, "x": x | {"field": "low"}, "x2": {"field": "high"}},
        },
    ]
    size = {"width": PLOT, "height": ROW * len(values)}
    return {"data": {"values": values}, "layer": layers, "title": {"text": name}} | size
