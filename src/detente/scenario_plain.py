"""Scenarios as plain data that stands alone, bases and sizes and all: what a plan of a sweep carries to other machines.

A file of a scenario names its base; this form holds it. It is read by the version of détente that wrote it.
"""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from detente.acts import Imposition, Keeping, Snapback, Suspension
from detente.errors import InputError
from detente.evasion import Evasion
from detente.measure import Lifting, Measure
from detente.menu import PriceCap, Producers, Quota, ServicesBan
from detente.possible import PossibleOutcome
from detente.scenario import Scenario

KIND = "kind"
KINDS = {
    kind.__name__: kind
    for kind in (
        Scenario, Measure, Lifting, Keeping, Suspension, Snapback, Imposition, PriceCap, Quota, ServicesBan, Producers,
        PossibleOutcome, Evasion,
    )
}  # fmt: skip


def plain(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON data; `read(plain(scenario))` is the same one."""
    return _plain(scenario)


def read(content: Mapping[str, Any]) -> Scenario:
    """The scenario of plain data. Raises `InputError` where it is none."""
    found = _read(content)
    if not isinstance(found, Scenario):
        raise InputError(f"The plain data of a scenario hold {type(found).__name__}. Make them by `plain`.")
    return found


def same(scenario: Scenario) -> str:
    """A text that two scenarios share where they make the same situation: same steps, sizes and evasion under any name."""
    return json.dumps(_plain([scenario.steps(), scenario.cuts, scenario.evasion, scenario.focus]))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        told = {name: _plain(each) for name, each in known.items() if name != "place"}
        return {KIND: type(value).__name__, **told}
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(each) for each in value)
    if not isinstance(value, Mapping):
        return value
    content = {key: _read(each) for key, each in value.items()}
    if KIND not in content:
        return content
    name = content.pop(KIND)
    if name not in KINDS:
        raise InputError(f"The plain data of a scenario have the kind {name!r}; known: {', '.join(KINDS)}.")
    return KINDS[name](**content)
