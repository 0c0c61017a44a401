"""The rows behind charts, report and CSV files: an outcome as plain lists of records, names and labels
included."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import labels
from .digits import NEGLIGIBLE, format_percent
from .errors import unknown_name

if TYPE_CHECKING:
    from .comparison import Comparison
    from .prospect import Prospect

Row = dict[str, Any]
BLOCKS = {"EU27": "European Union (27)"}
PARTS = {
    "terms_of_trade": "Terms of trade",
    "volume_of_trade": "Duties",
    "trade_cost": "Costs of trade",
    "transfers": "Transfers",
    "reallocation": "Reallocation",
    "residual": "Residual",
}
COLUMNS = ("real_income", "equivalent_variation", "real_wage", "consumer_price", "income_before")


def country_rows(outcome: "Comparison") -> list[Row]:
    """One row a country, greatest gain first: `code`, `name` and the `COLUMNS` (percent; USD billion for
    two).

    Countries whose real income is not a finite number come last.
    """
    data = outcome.data
    columns = {name: data[name].values.tolist() for name in COLUMNS if name in data}
    rows = [
        {"code": code, "name": labels.country_name(code)}
        | {name: column[place] for name, column in columns.items()}
        for place, code in enumerate(data["country"].values.tolist())
    ]
    return sorted(
        rows, key=lambda row: -row["real_income"] if math.isfinite(row["real_income"]) else math.inf
    )


def hub_rows(outcome: "Comparison") -> list[Row]:
    """One row a hub, greatest margin first: `code`, `name`, `re_exports`, `margin_income` and `equivalent_variation`.

    Amounts in the outcome's money, those of the situation examined. Empty where nothing goes around measures.
    """
    if not outcome.evaded:
        return []
    columns = {"re_exports": "re_exports_after", "margin_income": "margin_income_after"}
    columns["equivalent_variation"] = "equivalent_variation"
    found = [
        {"code": str(code), "name": labels.country_name(str(code))}
        | {key: float(outcome.data[name].sel(country=code)) for key, name in columns.items()}
        for code in outcome.data["country"].values[outcome.data["re_exports_after"].values > 0]
    ]
    return sorted(found, key=lambda row: -row["margin_income"])


def route_rows(outcome: "Comparison") -> list[Row]:
    """One row a hub, exporter and importer, greatest first: codes, `before` and `after`, in the outcome's money."""
    if not outcome.evaded:
        return []
    rows = (
        outcome.re_exports().to_dataframe().query("before > 0 or after > 0").reset_index().to_dict("records")
    )
    return sorted(({str(key): row[key] for key in row} for row in rows), key=lambda row: -row["after"])


def data_line(outcome: "Comparison") -> str:
    """Title and year of the data, or that they were given by the user."""
    data = outcome.provenance["data"]
    title = data.get("title") or "shares given by the user"
    year = str(data.get("year") or "")
    return title if not year or year in title else f"{title}, {year}"


def expected_over(outcome: "Comparison") -> str:
    """`, expected over 3 possible outcomes` where the figures are such a mean, else nothing."""
    count = len(getattr(outcome, "outcomes", ()))
    return f", expected over {count} possible outcomes" if count else ""


def income_rows(outcome: "Comparison") -> list[Row]:
    """Rows for the map: `code`, `name`, `id` (ISO numeric, as the map has it), `value` in percent,
    `label`; finite only."""
    return [
        {"code": row["code"], "name": row["name"], "id": labels.iso_numeric(row["code"]) or ""}
        | {"value": row["real_income"], "label": format_percent(row["real_income"])}
        for row in country_rows(outcome)
        if math.isfinite(row["real_income"])
    ]


def party_row(outcome: "Comparison", name: str) -> Row:
    """One country, or a group as one spending-weighted whole: `value` in percent, `usd` in USD billion,
    `label`.

    Raises InputError for a name that is neither.
    """
    known = outcome.data["country"].values.tolist()
    if name in known:
        one = outcome.data.sel(country=name)
        value, usd = float(one["real_income"]), float(one["equivalent_variation"])
    elif name in labels.country_groups():
        total = outcome.group(name)
        value, usd = float(total["real_income"]), float(total["equivalent_variation"])
    else:
        raise unknown_name("country", name, [*known, *labels.country_groups()])
    return {
        "code": name,
        "name": party_name(name),
        "value": value,
        "usd": usd,
        "label": format_percent(value),
    }


def party_name(name: str) -> str:
    """The name of a country or of a group as a reader knows it."""
    return BLOCKS.get(name) or (name if name in labels.country_groups() else labels.country_name(name))


def default_parties(outcome: "Comparison", target: str) -> dict[str, list[str]]:
    """{heading: parties}: for Russia the coalition's large members, those whose conditions of trade with Russia
    differ between the situations apart from the others, and large outsiders; else those that gain or lose most.

    The EU27 stands as one whole where the data have two or more of its members.
    """
    known = outcome.data["country"].values.tolist()
    if target == "RUS":
        union = [code for code in labels.country_groups()["EU27"] if code in known]
        within = ["USA", *(["EU27"] if len(union) > 1 else union), "GBR", "JPN", "CAN", "KOR"]
        outside = ["CHN", "IND", "TUR", "KAZ", "ARE"]
        changing = outcome.changing(target)
        acts = [name for name in within if changing & set(labels.country_groups().get(name, (name,)))]
        keeps = [name for name in within if name not in acts]
        named = {"Changes its measures": acts, "Keeps its measures": keeps, "Not in the coalition": outside}
    else:
        rows = sorted(country_rows(outcome), key=lambda row: -abs(row["equivalent_variation"]))
        named = {
            "Largest changes elsewhere, in dollars": [row["code"] for row in rows if row["code"] != target][
                :10
            ]
        }
    named = {
        head: [name for name in names if name in known or name == "EU27"] for head, names in named.items()
    }
    return {"In focus": [target]} | {head: names for head, names in named.items() if names}


def partner_rows(outcome: "Comparison", country: str, sectors: Sequence[str] = ()) -> list[Row]:
    """One row a partner of `country`, in USD billion: exports and imports, or exports of `sectors`.

    Keys: `name` and, for each flow f (`exports` and `imports`, or the sectors), f (the change), f + "_before"
    and f + "_after". Blocks count as one partner unless `country` is a member. Raises InputError for an
    unknown country.
    """
    trade = outcome.trade()
    known = trade["exporter"].values.tolist()
    if country not in known:
        raise unknown_name("country", country, known)
    if sectors:
        sales = trade.sel(exporter=country)
        flows = {code: sales.sel(sector=code) for code in sectors}
    else:
        total = trade.sum("sector")
        flows = {"exports": total.sel(exporter=country), "imports": total.sel(importer=country)}
    levels = {flow: (part["before"].values, part["after"].values) for flow, part in flows.items()}
    return [_partner_row(name, places, levels) for name, places in _partners(known, country).items()]


def outcome_rows(prospect: "Prospect", country: str, names: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """(heading with the unit, rows) of the table by outcome: real income and its worth of `names`, trade of `country`.

    Rows: `name` and `values`, the expectation first, then the outcomes in their order.
    """
    sides = [prospect, *prospect.outcomes.values()]
    parties = [[party_row(side, name) for side in sides] for name in names]
    flows = [partner_rows(side, country) for side in sides]
    income, worth = (
        [{"name": rows[0]["name"], "values": [row[key] for row in rows]} for rows in parties]
        for key in ("value", "usd")
    )
    trade = [
        {"name": flow.capitalize(), "values": [sum(row[flow] for row in rows) for rows in flows]}
        for flow in ("exports", "imports")
    ]
    return [
        ("Real income, %", income),
        (f"What that is worth, {prospect.money} a year", worth),
        (f"{party_name(country)}: change in trade, {prospect.money} a year", trade),
    ]


def largest(rows: Sequence[Row], top: int, flows: Sequence[str]) -> list[Row]:
    """The `top` rows by total absolute change in `flows`, largest first, then the sum of the others as one
    row."""
    ranked = sorted(rows, key=lambda row: -sum(abs(row[flow]) for flow in flows))
    rest = ranked[top:]
    if len(rest) < 2:
        return ranked
    summed = [key for key in rest[0] if key != "name"]
    return ranked[:top] + [
        {"name": f"{len(rest)} others"} | {key: sum(row[key] for row in rest) for key in summed}
    ]


def _partner_row(name: str, places: list[int], levels: Mapping[str, tuple[Any, Any]]) -> Row:
    row: Row = {"name": name}
    for flow, (before, after) in levels.items():
        row[f"{flow}_before"], row[f"{flow}_after"] = float(before[places].sum()), float(after[places].sum())
        row[flow] = row[f"{flow}_after"] - row[f"{flow}_before"]
    return row


def _partners(known: Sequence[str], country: str) -> dict[str, list[int]]:
    """{partner's name: places of its codes in `known`}."""
    partners: dict[str, list[int]] = {}
    taken = {country}
    for block in BLOCKS:
        members = [code for code in labels.country_groups().get(block, ()) if code in known]
        if len(members) > 1 and country not in members:
            partners[block] = [known.index(code) for code in members]
            taken.update(members)
    return partners | {
        labels.country_name(code): [place] for place, code in enumerate(known) if code not in taken
    }


def split_rows(outcome: "Comparison", names: Sequence[str]) -> list[Row]:
    """Where the welfare of countries or groups comes from: `name`, `total` and one key a part, in percent of spending.

    Raises InputError for a name that is neither, and what the split's solves raise.
    """
    worth = outcome.welfare_split()["equivalent_variation"]
    known = worth["country"].values.tolist()
    rows = []
    for name in names:
        one = party_row(outcome, name)
        codes = [name] if name in known else [c for c in labels.country_groups()[name] if c in known]
        parts = worth.sel(country=codes).sum("country")
        before = float(outcome.data["income_before"].sel(country=codes).sum())
        found = {str(part): 100 * float(parts.sel(part=part)) / before for part in worth["part"].values}
        rows.append({"code": name, "name": one["name"], "total": one["value"]} | found)
    return rows


def split_shown(rows: Sequence[Row]) -> dict[str, str]:
    """{part: title} of the parts that a table has columns for: those large enough to print, and the residual."""
    return {
        part: title
        for part, title in PARTS.items()
        if part == "residual" or any(abs(row[part]) >= NEGLIGIBLE for row in rows)
    }


def split_by_country(outcome: "Comparison") -> list[Row]:
    """One row a country and part: `country`, `name`, `part`, `real_income` (percent) and `equivalent_variation` (money)."""
    found = outcome.welfare_split()
    percent, worth = found["real_income"], found["equivalent_variation"]
    return [
        {"country": code, "name": labels.country_name(code), "part": part}
        | {"real_income": float(percent[k, n]), "equivalent_variation": float(worth[k, n])}
        for n, code in enumerate(found["country"].values.tolist())
        for k, part in enumerate(found["part"].values.tolist())
    ]
