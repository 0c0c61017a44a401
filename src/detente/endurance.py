"""An exit in one year and over years, side by side: figures as plain data, and what they make of the answers.

C8 asks whether those who stay are worse off for the exit, C9 whether they keep, C17 who bears the cost.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from detente.answers import HARM, SPACE, amount, as_number, level, listed, span
from detente.course import Settings
from detente.departure import Departure, of_year
from detente.digits import format_number, format_percent, format_usd
from detente.errors import InputError
from detente.findings import Finding
from detente.measure import named
from detente.scenario import Scenario
from detente.senders import Coalition
from detente.standoff import Standoff
from detente.tables import party_name
from detente.terminal import table

CONVICTION = (
    10  # percent above its break-even: a member with so much does not follow (docs/study.md has the same)
)
SIDES = {"one_year": "one year", "over_years": "over years"}


def compare(
    found: Sequence[Coalition],
    elasticities: Sequence[str],
    scenario: str | Scenario,
    exits: Sequence[int],
    *,
    years: Sequence[int],
    decision: int | None = None,
    settings: Settings,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Finding]:
    """The exit of members in coalitions of one year and over years, one finding a set of elasticities.

    Raises `InputError` where nobody or everybody leaves, and as `standoff.Standoff`.
    """
    if not 0 < len(exits) < len(found[0].members):
        raise InputError(
            "Over time an exit is looked at: some members leave and others stay. Name who with `--exit`."
        )
    readings = []
    for of, name in zip(found, elasticities, strict=True):
        progress(f"{name}: over years")
        made = Standoff(
            of.economy, scenario, of.members, of.target, years=years, decision=decision, settings=settings
        )
        readings.append(reading(name, of_year(of, exits), made.departure(exits)))
        readings[-1] |= {
            "years": [made.years[0], made.years[-1]],
            "paths": made.count,
            "residual": made.residual,
        }
    return readings


def reading(elasticities: str, year: Departure, years: Departure) -> Finding:
    """One set of elasticities: the exit in one year and over years."""
    return {"elasticities": elasticities} | {
        key: side(each) for key, each in zip(SIDES, (year, years), strict=True)
    }


def side(of: Departure) -> Finding:
    """The figures of one side; money in that of the coalition, a year."""
    names, stay = of.roster.names, list(of.stayers)
    income, effect, cost = of.member_income, of.effect, -of.own(of.whole)
    now, after = (-of.keeping(coalition).own for coalition in (of.whole, of.after))
    mean = cost.sum() / income.sum()
    rows = []
    for k, code in enumerate(names):
        row = {
            "member": code,
            "name": party_name(code),
            "income": income[k],
            "exit_effect": effect[k],
            "exit_effect_percent": 100 * effect[k] / income[k],
            "keeping_costs": now[k],
            "keeping_costs_after": after[k],
            "break_even": of.level[k],
            "break_even_after": of.level_after[k],
            "rise": of.rises.get(k, np.nan),
            "cost": cost[k],
            "cost_percent": 100 * cost[k] / income[k],
            "transfer": cost[k] - mean * income[k],
        }
        rows.append({key: _plain(value) for key, value in row.items()})
    return {
        "members": rows,
        "stayers": {
            "exit_effect": float(effect[stay].sum()),
            "exit_effect_percent": float(
                100 * effect[stay].sum() / max(income[stay].sum(), np.finfo(float).tiny)
            ),
        },
        "others": of.others,
        "target_loss": of.loss(of.whole),
        "target_loss_after": of.loss(of.after),
        "slack": _plain(of.slack),
        "unheld": [names[k] for k in of.unheld],
        "followers": [names[k] for k in of.followers()],
        "followers_with_conviction": [names[k] for k in of.followers(CONVICTION)],
    }


def _plain(value: Any) -> float | str | None:
    """As JSON has it: infinities as texts, not a number as null."""
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else "never" if value > 0 else "always"


# In words --------------------------------------------------------------------------------------------------


def sentences(found: Sequence[Finding], left: Sequence[str], money: str) -> dict[str, list[str]]:
    """{question: sentences} in ranges over the readings; left: codes of who leaves."""
    gone = listed([named(code) for code in left])
    return {"C8": _rain(found, gone, money), "C9": _holding(found, gone), "C17": _burden(found, money)}


def _both(tell: Callable[[Sequence[Finding]], tuple[str, str]], found: Sequence[Finding]) -> list[str]:
    """A sentence a side, each with its verdict first, and whether the verdicts are the same."""
    told = [tell([each[key] for each in found]) for key in SIDES]
    lines = [
        f"{title.capitalize()}: {verdict}. {text}"
        for title, (verdict, text) in zip(SIDES.values(), told, strict=True)
    ]
    before, after = (verdict for verdict, _ in told)
    same = (
        "The verdict is the same."
        if before == after
        else f"The verdict changes: from “{before}” to “{after}”."
    )
    return [*lines, same]


def _verdict(claims: Sequence[bool], yes: str, no: str) -> str:
    return yes if all(claims) else "it depends on the elasticities" if any(claims) else no


def _rain(found: Sequence[Finding], gone: str, money: str) -> list[str]:
    def tell(sides: Sequence[Finding]) -> tuple[str, str]:
        stay = [each["stayers"] for each in sides]
        harmed = [each["exit_effect_percent"] < -HARM for each in stay]
        text = (
            f"When {gone} lifts, those who keep together change by "
            f"{span([each['exit_effect'] for each in stay], format_usd)} {money} a year, "
            f"{span([each['exit_effect_percent'] for each in stay], format_percent)} (a loss counts from "
            f"{HARM:g}{SPACE}% on)."
        )
        return _verdict(harmed, "yes", "no"), text

    return _both(tell, found)


def _holding(found: Sequence[Finding], gone: str) -> list[str]:
    def tell(sides: Sequence[Finding]) -> tuple[str, str]:
        slack = [as_number(each["slack"]) for each in sides]
        verdict = _verdict([value > CONVICTION for value in slack], "it does not", "it does")
        if max(slack) <= 0:
            text = f"After the exit of {gone} the break-even λ of no stayer rises."
        else:
            text = (
                f"After the exit of {gone} the break-even λ rises by at most {span(slack, _rise)} "
                f"({_steepest(sides)}; above {CONVICTION}{SPACE}% counts)."
            )
        orders = [listed([named(code) for code in each["followers"]]) or "nobody" for each in sides]
        ends = "; or ".join(dict.fromkeys(orders))
        follow = "nobody would follow" if ends == "nobody" else f"these would follow, in order: {ends}"
        text += f" Were every member only just willing now, {follow}."
        unheld = list(dict.fromkeys(named(code) for each in sides for code in each["unheld"]))
        if unheld:
            some = (
                ""
                if all(each["unheld"] == sides[0]["unheld"] for each in sides)
                else ", with some elasticities"
            )
            text += f" No λ keeps {listed(unheld)}, exit or not{some}: keeping costs and does not hurt the target."
        return verdict, text

    return _both(tell, found)


def _rise(value: float) -> str:
    return "any amount" if value == np.inf else format_percent(value, sign=False)


def _steepest(sides: Sequence[Finding]) -> str:
    """Whose break-even λ rises most, in each reading."""
    rows = [[row for row in each["members"] if row["rise"] is not None] for each in sides]
    names = [named(max(each, key=lambda row: as_number(row["rise"]))["member"]) for each in rows if each]
    return " or ".join(dict.fromkeys(names))


def _burden(found: Sequence[Finding], money: str) -> list[str]:
    first = "EU27" if any(row["member"] == "EU27" for row in found[0]["one_year"]["members"]) else ""

    def tell(sides: Sequence[Finding]) -> tuple[str, str]:
        rows = [
            next((row for row in each["members"] if row["member"] == first), each["members"][0])
            for each in sides
        ]
        name = named(rows[0]["member"])
        totals = [sum(row["cost"] for row in each["members"]) for each in sides]
        text = (
            f"The members together bear {span(totals, amount)} {money} a year, {name} "
            f"{span([row['cost'] for row in rows], amount)} or "
            f"{span([row['cost_percent'] for row in rows], lambda v: format_percent(v, sign=False))} of its own; for an "
            f"equal burden it would get {span([row['transfer'] for row in rows], format_usd)}."
        )
        return _verdict([row["transfer"] > 0 for row in rows], "yes", "no"), text

    return _both(tell, found)


# Tables ----------------------------------------------------------------------------------------------------


def tables(found: Sequence[Finding], money: str) -> str:
    """For the terminal: each member's gain from the exit, λ before and after it, and cost; one year beside years."""
    widths = [20, 20, 20, 20, 20]
    parts = []
    for title, columns in _COLUMNS.items():
        heads = [title, *(f"{words.format(money=money)}\n{SIDES[key]}" for key, _, words, _ in columns)]
        rows = []
        for k, member in enumerate(found[0]["one_year"]["members"]):
            cells = []
            for key, figure, _, write in columns:
                values = [each[key]["members"][k][figure] for each in found]
                cells.append("leaves" if all(value is None for value in values) else span(values, write))
            rows.append([member["name"], *cells])
        parts.append(table(heads, rows, widths, range(1, 5)))
    return "\n\n".join(parts)


def _bare(value: float) -> str:
    """A cost in percent, with a sign where it is a gain."""
    return format_number(value, sign=False)


_COLUMNS: dict[str, Sequence[tuple[str, str, str, Callable[[float], str]]]] = {
    "What the exit does": [
        ("one_year", "exit_effect", "{money},", format_usd),
        ("over_years", "exit_effect", "{money},", format_usd),
        ("one_year", "exit_effect_percent", "%,", format_number),
        ("over_years", "exit_effect_percent", "%,", format_number),
    ],
    "Break-even λ": [
        ("one_year", "break_even", "now,", level),
        ("one_year", "break_even_after", "after the exit,", level),
        ("over_years", "break_even", "now,", level),
        ("over_years", "break_even_after", "after the exit,", level),
    ],
    "Cost of keeping": [
        ("one_year", "cost", "{money},", amount),
        ("over_years", "cost", "{money},", amount),
        ("one_year", "cost_percent", "%,", _bare),
        ("over_years", "cost_percent", "%,", _bare),
    ],
}
