"""Pictures of transition paths: real income by year, gain by date of lifting, foreign capital by owner, and a fan."""

from typing import Any

from detente import labels
from detente.charts import GAIN, THEME
from detente.drawing import QUIET, SCHEMA
from detente.transition import Transition

Spec = dict[str, Any]
WIDTH, HEIGHT = 520, 260


def paths_spec(found: Transition) -> Spec:
    """Lines of real income by year, percent against the path compared with, for the main parties."""
    rows = [
        {"party": name, "year": year, "value": float(value)}
        for name, code in found.parties()
        for year, value in zip(found.years, found.mean_path(code), strict=True)
    ]
    encoding = _axes("Real income, %") | {
        "color": {
            "field": "party",
            "type": "nominal",
            "title": None,
            "sort": [name for name, _ in found.parties()],
        }
    }
    target = labels.country_name(found.target)
    panels = [
        _panel(
            [row for row in rows if (row["party"] == target) == first],
            encoding,
            {"type": "line", "point": True},
        )
        for first in (True, False)
    ]
    return _framed({"vconcat": panels, "resolve": {"scale": {"y": "independent"}}}, found, "Real income")


def gain_spec(found: Transition, country: str | None = None) -> Spec:
    """Bars of the present value of consumption gained, at the date of lifting, by year of lifting, USD billion."""
    here = country or found.target
    rows = [
        {"year": int(row["year"]), "part": part, "value": row[part]}
        for row in found.gain_by_date(here)
        for part in ("transition", "terminal")
    ]
    encoding = {
        "x": {"field": "year", "type": "ordinal", "title": "lifted in", "axis": {"labelAngle": 0}},
        "y": {"field": "value", "type": "quantitative", "title": "USD billion"},
        "color": {"field": "part", "type": "nominal", "title": None, "scale": {"range": [GAIN, "#83b2d9"]}},
    }
    title = f"What lifting is worth to {labels.country_name(here)}, by year"
    return _framed(_panel(rows, encoding, {"type": "bar"}), found, title)


def owners_spec(found: Transition, path: int = -1, most: int = 8) -> Spec:
    """Areas of foreign capital in the target by owner, USD billion; owners beyond the largest are summed."""
    stock = found.data["foreign_capital"].isel(path=path)
    first = dict(zip(found.economy.countries, stock.isel(year=0).values.tolist(), strict=True))
    order = sorted(first, key=lambda code: -first[code])
    rows = []
    for year in found.years:
        amounts = dict(zip(found.economy.countries, stock.sel(year=year).values.tolist(), strict=True))
        named = {labels.country_name(code): amounts[code] for code in order[:most] if amounts[code] > 0}
        named["others"] = sum(amounts[code] for code in order[most:])
        rows += [{"owner": name, "year": year, "value": value} for name, value in named.items()]
    encoding = _axes("USD billion") | {
        "color": {"field": "owner", "type": "nominal", "title": None, "sort": None}
    }
    title = f"Foreign capital in {labels.country_name(found.target)} by owner: {found.names[path]}"
    return _framed(_panel(rows, encoding, {"type": "area"}), found, title)


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
        "mark": {"type": "line", "color": QUIET, "opacity": 0.45, "strokeWidth": 1},
        "data": {"values": rows},
    }
    thick = {"mark": {"type": "line", "color": GAIN, "strokeWidth": 3}, "data": {"values": mean}}
    axes = _axes("Real income, %")
    layers = [thin | {"encoding": axes | {"detail": {"field": "path"}}}, thick | {"encoding": axes}]
    title = f"Relief that may end: {labels.country_name(here)}"
    return _framed({"layer": layers, "width": WIDTH, "height": HEIGHT}, found, title)


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


def _axes(title: str) -> Spec:
    return {
        "x": {
            "field": "year",
            "type": "quantitative",
            "title": None,
            "axis": {"format": "d", "tickMinStep": 1},
            "scale": {"zero": False},
        },
        "y": {"field": "value", "type": "quantitative", "title": title},
    }


def _panel(rows: list[dict[str, Any]], encoding: Spec, mark: Spec) -> Spec:
    return {"mark": mark, "data": {"values": rows}, "encoding": encoding, "width": WIDTH, "height": HEIGHT}


def _framed(chart: Spec, found: Transition, headline: str) -> Spec:
    told = found.maker.settings.told
    caption = (
        f"{', '.join(found.names[1:3])}{' …' * (len(found.names) > 3)} compared with {found.names[0]}; {told}"
    )
    foot = {
        "text": caption,
        "orient": "bottom",
        "fontSize": 11,
        "fontWeight": "normal",
        "color": QUIET,
        "offset": 14,
    }
    head = {"text": headline, "fontSize": 16, "offset": 12}
    return {
        "$schema": SCHEMA,
        "vconcat": [chart | {"title": head}],
        "title": foot,
        "padding": 12,
        "config": THEME,
    }
