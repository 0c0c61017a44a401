"""What a coalition's game says, as plain data: everything that the command prints, draws and writes comes from here."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from detente import game
from detente.burden import cheapest_transfers, potential_surplus
from detente.cascade import Piece, Rules, cascade, pieces, thresholds
from detente.game import Effects, bits
from detente.intensity import Intensities
from detente.senders import Coalition
from detente.tables import party_name

Finding = dict[str, Any]
NOTHING = np.finfo(float).tiny  # the income of nobody, where all leave


class Question(NamedTuple):
    """What is asked of a coalition.

    exits: places of the members that leave; worths: λ looked at, common to all; veto: blocs renew by unanimity;
    intensities: whether Nash and cooperative intensities are asked for at each λ.
    """

    exits: tuple[int, ...] = ()
    worths: tuple[float, ...] = ()
    veto: bool = False
    intensities: bool = False


def finding(of: Coalition, elasticities: str, question: Question) -> Finding:
    """All figures of one reading; keys as docs/coalition.md lists them. Raises `ConvergenceError`, `InputError`."""
    effects = of.voting if question.veto else of.effects
    after = of.without(question.exits)
    by_slack = pieces(effects, Rules(exits=question.exits), _just(effects), (1.0, np.inf))
    return {
        "elasticities": elasticities,
        "exit": [of.members[k] for k in question.exits],
        "horizon": of.economy.provenance.get("horizon", {}).get("told", ""),
        "equilibria": int(of.variation.sizes["coalition"]),
        "alone": of.alone,
        "residual": of.residual,
        "target": _target(of, after),
        "members": _members(of, question),
        "stayers": _stayers(of, after),
        "exits": {party: row.to_dict() for party, row in of.exits().iterrows()},
        "holds": _holds(effects, after, question.veto),
        "cascade": _course(of, pieces(effects, Rules(exits=question.exits))),
        "cascade_by_slack": _course(of, by_slack),
        "stable": [
            {"from": low, "to": _finite(high), "members": _named(of, coalition)}
            for low, high, coalition in game.stable_intervals(effects)
        ],
        "at_lambda": [_at(of, effects, worth, question) for worth in question.worths],
    }


def _target(of: Coalition, after: int) -> Finding:
    loss, income = -of.on_target, of.income.to_numpy()[of.roster.target].sum()
    return {
        "loss": float(loss[-1]),
        "loss_percent": float(100 * loss[-1] / income),
        "loss_after_exit": float(loss[after]),
    }


def _stayers(of: Coalition, after: int) -> Finding:
    """Those who stay, together: what the exit does to them, and what they forgo against all of them lifting."""
    inside = list(bits(after))
    before, left = of.own[inside, -1].sum(), of.own[inside, after].sum()
    return {
        "exit_effect": float(left - before),
        "exit_effect_percent": float(100 * (left - before) / max(of.member_income[inside].sum(), NOTHING)),
        "forgone": float(-left),
        "forgone_before": float(-before),
    }


def _members(of: Coalition, question: Question) -> list[Finding]:
    full, after = of.without(()), of.without(question.exits)
    table = of.frame(question.exits, question.veto)
    rows = []
    for k, (code, row) in enumerate(table.iterrows()):
        entry = {"member": code, "name": party_name(str(code)), "income": float(of.member_income[k])}
        entry |= {str(key): _finite(value) for key, value in row.items()}
        if question.veto and len(of.roster.places[k]) > 1:
            entry |= {"decider": of.decider(k, full), "decider_after": of.decider(k, after)}
        rows.append(entry)
    return rows


def _finite(value: float) -> float | str | None:
    """As JSON has it: infinities as texts, not a number as null."""
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else "never" if value > 0 else "always"


def _holds(effects: Effects, after: int, veto: bool) -> Finding:
    """From which λ on, common to all, a coalition is stable from inside: all of it, after the exit, and with transfers.

    None with transfers under veto: money between members would have to reach the state that decides.
    """
    level, full = game.break_even(effects), len(effects.own[0]) - 1
    found = {}
    for key, coalition in (("full", full), ("after_exit", after)):
        inside = list(bits(coalition))
        own, hurt = (effect[inside, coalition].sum() for effect in effects)
        found[key] = _finite(max(0.0, level[inside, coalition].max())) if inside else 0.0
        found[f"{key}_with_transfers"] = _finite(max(0.0, -own / hurt)) if hurt > 0 and not veto else None
    return found


def _just(effects: Effects) -> np.ndarray:
    """λ at which keeping is just rational in the full coalition [m], 0 where no λ makes it so."""
    least, most = game.rational(effects)
    found = np.maximum(least[:, -1], 0.0)
    return np.where(np.isfinite(found) & (most[:, -1] >= 0), found, 0.0)


def _course(of: Coalition, found: Sequence[Piece]) -> Finding:
    courses = [
        {
            "from": piece.low,
            "to": _finite(piece.high),
            "order": [of.members[k] for k in piece.cascade.order],
            "remaining": None if piece.cascade.end is None else _named(of, piece.cascade.end),
        }
        for piece in found
    ]
    return {"pieces": courses, "thresholds": thresholds(found)}


def _named(of: Coalition, coalition: int) -> list[str]:
    return [of.members[k] for k in bits(coalition)]


def _at(of: Coalition, effects: Effects, worth: float, question: Question) -> Finding:
    """What holds at one λ common to all."""
    gains, after = game.gain(effects, worth), of.without(question.exits)
    course = cascade(gains, Rules(exits=question.exits))
    entry: Finding = {
        "lambda": worth,
        "gain_from_keeping": dict(zip(of.members, gains[:, after].tolist(), strict=True)),
        "full_is_internally_stable": bool(game.internal(gains)[-1]),
        "after_exit_is_internally_stable": bool(game.internal(gains)[after]),
        "stable": [_named(of, coalition) for coalition in game.stable_coalitions(gains)],
        "order": [of.members[k] for k in course.order],
        "remaining": None if course.end is None else _named(of, course.end),
    }
    if after and not question.veto:
        found = cheapest_transfers(gains, after)
        entry["transfers"] = {
            "feasible": found.feasible,
            "received": dict(zip(of.members, found.transfers.tolist(), strict=True)),
            "gross": found.gross,
            "missing": found.missing,
            "surplus": potential_surplus(gains, after),
        }
    if question.intensities:
        entry["intensities"] = {
            "nash": [_intensities(of, each) for each in of.nash(worth)],
            "cooperative": [_intensities(of, each) for each in of.cooperative(worth)],
        }
    return entry


def _intensities(of: Coalition, found: Intensities) -> Finding:
    return {
        "start": found.start,
        "x": dict(zip(of.members, found.x.tolist(), strict=True)),
        "payoff": dict(zip(of.members, found.payoff.tolist(), strict=True)),
        "largest_gain": float(found.gain.max()),
        "steps": found.steps,
        "converged": found.converged,
    }
