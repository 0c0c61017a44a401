"""The answers that a coalition's game gives, in sentences, as ranges over several readings: one finding each.

Three questions are asked of an exit: whether those who stay are worse off for it, whether they keep, and who bears the
cost.
"""

from collections.abc import Callable, Sequence

import numpy as np

from detente.digits import format_number, format_percent, format_usd
from detente.findings import Finding
from detente.measure import AUTHORITIES, named
from detente.regime import Regime
from detente.senders import Coalition
from detente.tables import party_name

ALIKE = 0.02  # intensities that differ by less are one: what a parabola misses of a payoff's shape
HARM = 0.01  # percent of spending: a loss below it does not count as one (docs/study.md has the same)
SPACE = "\N{NO-BREAK SPACE}"


def span(values: Sequence[float | str | None], write: Callable[[float], str]) -> str:
    """The range of values over the readings: `0.4 to 0.6`, or one number where both ends read the same."""
    numbers = [as_number(value) for value in values if value is not None]
    if not numbers:
        return "–"
    ends = dict.fromkeys((write(min(numbers)), write(max(numbers))))
    units = {end.partition(SPACE)[2] for end in ends}
    if len(units) == 1 and len(ends) == 2 and (unit := units.pop()) == "%":
        low, high = (end.partition(SPACE)[0] for end in ends)
        return f"{low} to {high}{SPACE}{unit}"
    return " to ".join(ends)


def as_number(value: float | str) -> float:
    """A figure of a finding, its texts as infinities."""
    return {"never": np.inf, "always": -np.inf}[value] if isinstance(value, str) else float(value)


def level(value: float) -> str:
    """A λ: `0.599`, `any` where keeping pays by itself, `none` where no λ makes it pay."""
    if value == np.inf:
        return "none"
    return "any" if value <= 0 else format_number(value, digits=3, sign=False)


def amount(value: float) -> str:
    """Money without a sign unless it is negative: a cost that is a gain."""
    return format_usd(value, sign=False)


def sentences(found: Sequence[Finding], money: str) -> dict[str, list[str]]:
    """{question: sentences} in ranges over the readings; without an exit `C8` and `C9` are about nobody and left out."""
    left = [named(code) for code in found[0]["exit"]]
    told = {"C17": _burden(found, money)}
    if left and len(left) < len(found[0]["members"]):
        told = {"C8": _rain(found, money, listed(left)), "C9": _holding(found, listed(left))} | told
    return told


def listed(names: Sequence[str]) -> str:
    """`A, B and C`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _rain(found: Sequence[Finding], money: str, left: str) -> list[str]:
    effect = [each["stayers"]["exit_effect_percent"] for each in found]
    harmed = [value < -HARM for value in effect]
    verdict = "Yes" if all(harmed) else "It depends on the elasticities" if any(harmed) else "No"
    stayers = [row["member"] for row in found[0]["members"] if row["forgone"] is not None]
    effects = {named(code): _each(found, code, "exit_effect") for code in stayers}
    worst, best = min(effects, key=lambda n: effects[n][0]), max(effects, key=lambda n: effects[n][0])
    lines = [
        f"{verdict}: when {left} lifts and the others keep, these together change by "
        f"{span([each['stayers']['exit_effect'] for each in found], format_usd)} {money} a year, "
        f"{span(effect, format_percent)} of their spending (a loss counts from {HARM:g}{SPACE}% on).",
        f"By not following they forgo {span([each['stayers']['forgone'] for each in found], amount)} {money} together; "
        f"before the exit it was {span([each['stayers']['forgone_before'] for each in found], amount)}. The cost of "
        "keeping is theirs with or without the exit.",
    ]
    if len(stayers) > 1:
        ends = [f"{name} ({span(effects[name], format_usd)})" for name in (worst, best)]
        lines.insert(1, f"At the lower end stands {ends[0]}, at the upper {ends[1]}.")
    gone = found[0]["exit"]
    if len(gone) == 1:
        others = [each["exits"]["others"][gone[0]] for each in found]
        lines.append(
            f"All other countries together change by {span(others, format_usd)} {money} by that exit."
        )
    return lines


def _each(found: Sequence[Finding], member: str, key: str) -> list[float]:
    """A figure of a member in every reading."""
    return [as_number(row[key]) for each in found for row in each["members"] if row["member"] == member]


def rises(found: Sequence[Finding]) -> dict[str, list[float]]:
    """By how many percent the break-even λ of each stayer is higher after the exit, in each reading."""
    out = {}
    for row in found[0]["members"]:
        if row["break_even_after"] is not None:
            ends = (_each(found, row["member"], key) for key in ("break_even", "break_even_after"))
            out[named(row["member"])] = [_rise(*pair) for pair in zip(*ends, strict=True)]
    return out


def _rise(before: float, after: float) -> float:
    if max(before, after) <= 0 or before == after:
        return 0.0
    return np.inf if before <= 0 or np.isinf(after) else 100 * (after / before - 1)


def _holding(found: Sequence[Finding], left: str) -> list[str]:
    change = rises(found)
    tempted = {name: max(values) for name, values in change.items() if max(values) > 0}
    worst = max(tempted, key=lambda name: tempted[name]) if tempted else ""
    full, rest = ([each["holds"][key] for each in found] for key in ("full", "after_exit"))
    if not tempted:
        lines = [
            f"It does: after the exit of {left} keeping is rational for every stayer at the λ at which it is now."
        ]
    elif np.isinf(tempted[worst]):
        lines = [f"Not by itself: after the exit of {left} no λ keeps {worst}."]
    else:
        most = format_percent(tempted[worst], sign=False)
        others = "" if len(tempted) == len(change) else "; for the others it falls or stays"
        lines = [
            f"It does, unless a member was about to leave anyway: after the exit of {left} the break-even λ rises by "
            f"at most {most} ({worst}), for {len(tempted)} of {len(change)} stayers{others}. If all have more slack than "
            "that, nobody follows."
        ]
    gone = len(found[0]["exit"])
    slack = [each["cascade_by_slack"]["pieces"][0]["order"][gone:] for each in found]
    followers = [[named(code) for code in order] for order in slack]
    told = dict.fromkeys(listed(names) or "nobody" for names in followers)
    if list(told) == ["nobody"]:
        lines.append("Even were every member only just willing now, nobody would follow.")
    else:
        lines.append(
            f"Were every member only just willing now, these would follow, in order: {'; or '.join(told)}."
        )
    lines.append(
        f"With one λ for all, nobody gains by leaving the full coalition from λ = {span(full, level)} on, nor what the "
        f"exit leaves of it from {span(rest, level)} on."
    )
    if found[0]["holds"]["full_with_transfers"] is not None:
        ends = [[each["holds"][f"{key}_with_transfers"] for each in found] for key in ("full", "after_exit")]
        lines.append(
            f"With transfers among them that is so from λ = {' and '.join(span(end, level) for end in ends)} on."
        )
    return lines


def _burden(found: Sequence[Finding], money: str) -> list[str]:
    rows = found[0]["members"]
    received = {row["member"]: _each(found, row["member"], "transfer") for row in rows}
    first = "EU27" if "EU27" in received else max(received, key=lambda code: received[code][0])
    name = named(first)
    totals = [sum(as_number(row["cost"]) for row in each["members"]) for each in found]
    common = [
        100 * total / sum(row["income"] for row in each["members"])
        for total, each in zip(totals, found, strict=True)
    ]
    cost, pressure = (_each(found, first, key) for key in ("cost", "pressure"))
    pressed = [sum(as_number(row["pressure"]) for row in each["members"]) for each in found]
    above = [value > 0 for value in received[first]]
    verdict = "Yes" if all(above) else "It depends on the elasticities" if any(above) else "No"
    payers = sorted((row for row in rows if row["transfer"] < 0), key=lambda row: row["transfer"])[:3]
    told = [f"{named(row['member'])} {span([-v for v in received[row['member']]], amount)}" for row in payers]
    ending = f" from the others; most would come from {listed(told)}." if all(above) else "."
    return [
        f"{verdict}: the members together bear {span(totals, amount)} {money} a year, {span(common, percent)} of their "
        f"spending; on {name} fall {span(cost, amount)}, {span(_each(found, first, 'cost_percent'), percent)} of its own.",
        f"That is {span(_shares(cost, totals), whole)}{SPACE}% of the cost, beside "
        f"{span(_shares(pressure, pressed), whole)}{SPACE}% of the pressure.",
        f"For an equal burden in percent of spending {name} would get {span(received[first], format_usd)} {money} a "
        f"year{ending}",
    ]


def percent(value: float) -> str:
    """A percentage without a plus."""
    return format_percent(value, sign=False)


def _shares(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    return [100 * part / whole for part, whole in zip(parts, wholes, strict=True)]


def whole(value: float) -> str:
    """A rounded number, `−1`."""
    return f"{round(value)}".replace("-", "−")


def veto_lines(found: Sequence[Finding]) -> list[str]:
    """Which state decides for each bloc under unanimity."""
    lines = []
    for row in found[0]["members"]:
        if "decider" in row:
            states = [party_name(_of(each, row["member"])["decider"]) for each in found]
            levels = span(_each(found, row["member"], "break_even"), level)
            lines.append(
                f"Where one veto ends the measures of {named(row['member'])}, the state decides that gains most from this "
                f"by income: {listed(list(dict.fromkeys(states)))}. The bloc keeps from λ = {levels} on, a state's λ "
                "being its part of the bloc's, by income."
            )
    return lines


def worth_lines(found: Sequence[Finding], sets: Sequence[str], money: str) -> list[str]:
    """What holds at one λ, from `at_lambda` of every reading; sets: their elasticities."""
    keys = {
        "full_is_internally_stable": "The full coalition",
        "after_exit_is_internally_stable": "What the exit leaves of it",
    }
    lines = [f"{words} {_verdict([each[key] for each in found])}." for key, words in keys.items()]
    ends = [listed([named(code) for code in each["remaining"] or ()]) or "nobody" for each in found]
    lines.append(f"In the end these keep: {'; or '.join(dict.fromkeys(ends))}.")
    paid = [each["transfers"] for each in found if "transfers" in each]
    if paid and all(each["feasible"] for each in paid):
        gross = span([each["gross"] for each in paid], amount)
        lines.append(f"The cheapest transfers under which nobody else leaves come to {gross} {money} a year.")
    elif paid:
        missing = span([each["missing"] for each in paid], amount)
        lines.append(f"Transfers among those who stay do not hold them: {missing} {money} a year is missing.")
    for key, words in (("nash", "each for itself"), ("cooperative", "all together")):
        for each, name in zip(found, sets, strict=True):
            if "intensities" in each:
                lines.append(f"Intensities chosen {words} ({name}): {_chosen(each['intensities'][key])}.")
    return lines


def _verdict(stable: Sequence[bool]) -> str:
    if all(stable):
        return "holds: nobody gains by leaving"
    return "holds with some elasticities only" if any(stable) else "does not hold"


def _chosen(found: Sequence[Finding]) -> str:
    """Intensities of the first search, and whether the others came to the same."""
    first = found[0]
    told = ", ".join(f"{code} {value:.2f}" for code, value in first["x"].items())
    apart = max(abs(first["x"][code] - each["x"][code]) for each in found for code in first["x"])
    same = "every start leads there" if apart < ALIKE else "other starts lead elsewhere (JSON)"
    state = "" if all(each["converged"] for each in found) else "; NOT CONVERGED from some start"
    return f"{told}; {same}{state}"


def _of(each: Finding, member: str) -> Finding:
    return next(row for row in each["members"] if row["member"] == member)


def lift_rules(of: Coalition) -> list[str]:
    """Who can end the measures of each member on the target, one sentence a member, from the catalogue."""
    day = of.keep.regime
    if day is None:
        return ["The measures are the scenario's own, without a rule of who can end them."]
    state, countries = Regime.load().on(day), of.economy.countries
    lines = []
    for name, at in zip(of.members, of.roster.places, strict=True):
        senders = {name, *(countries[n] for n in at)}
        rules: dict[str, int] = {}
        for group in state.by_authority():
            if group.sender in senders:
                rules[group.rule] = rules.get(group.rule, 0) + len(group.measures)
        if rules:
            told = [
                f"{number} {AUTHORITIES[rule]}" for rule, number in sorted(rules.items(), key=lambda r: -r[1])
            ]
            lines.append(f"{party_name(name)}: of {sum(rules.values())} measures in force, {listed(told)}.")
    return lines
