"""Scenarios: an ordered list of measures with a name, read from YAML or built in Python, turned into a `Shock`."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from detente import labels
from detente.economy import Economy
from detente.errors import InputError, unknown_name
from detente.measure import Lifting, Measure
from detente.shock import Shock

SHIPPED = labels.DATA / "scenarios"
BASELINE = "baseline"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe YAML in which only `true` and `false` are truth values: `on`, `NO` and `yes` stay the texts they are."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


@dataclass(frozen=True)
class Scenario:
    """What is done, by whom, to whom: measures applied in order, on top of those of `base`.

    name; title (one line); base: a scenario whose measures come first; against: the situation that results are compared
    with by default ("baseline" is the data year as it is); focus: the country whose trade the report looks at.
    Printing it gives one sentence a measure.
    """

    name: str
    title: str = ""
    measures: Sequence[Measure | Lifting] = ()
    base: "Scenario | None" = None
    against: str = BASELINE
    focus: str = ""
    description: str = ""
    source: str = field(default="", compare=False)

    @classmethod
    def load(cls, name: "str | os.PathLike[str] | Mapping[str, Any] | Scenario") -> "Scenario":
        """A shipped scenario by name, a YAML file by path, a mapping of the same form, or a scenario itself.

        Raises `InputError` for an unknown name (nearest match offered) or a file that does not fit the schema; the message
        gives file, line and mend.
        """
        if isinstance(name, Scenario):
            return name
        if isinstance(name, Mapping):
            return _build(dict(name), None, "the scenario given")
        text = os.fspath(name)
        if text == BASELINE:
            return cls(BASELINE, "The data year as it is", description="No measure is changed.")
        if text in available():
            return _read(SHIPPED / f"{text}.yaml")
        path = Path(text)
        if path.suffix in (".yaml", ".yml") or path.is_file():
            return _read(path)
        raise unknown_name(
            "scenario", text, [*available(), BASELINE], "A path to a YAML file is understood too."
        )

    def steps(self) -> list[Measure | Lifting]:
        """All measures and liftings in order, those of the base first."""
        return [*(self.base.steps() if self.base else ()), *self.measures]

    def sentences(self) -> list[str]:
        """One sentence a measure, in order."""
        return [str(step) for step in self.steps()] or ["Nothing is changed: the data year as it is."]

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.title}", *(f"  · {line}" for line in self.sentences())])

    def shock(self, economy: Economy) -> Shock:
        """The changes that the measures make to `economy`'s baseline.

        Cuts multiply the trade weight κ̂^(−θ) by (1 − size)/(1 − in_data) where in force and by 1/(1 − in_data) where
        lifted; costs multiply trade costs by 1 + size; tariffs and export taxes add points to the baseline's rate; bans are
        exact. Raises `InputError` for a name the economy does not have, a sender that is its own target, the same measure
        given twice, and a lifting that ends nothing.
        """
        countries, sectors = list(economy.countries), list(economy.sectors)
        in_force: list[tuple[Measure, np.ndarray, np.ndarray]] = []
        for step in self.steps():
            if isinstance(step, Measure):
                if any(step == measure for measure, _, _ in in_force):
                    raise InputError(f"Scenario `{self.name}` states this measure twice: {step} Remove one.")
                where = step.cells(countries, sectors)
                in_force.append((step, where, np.zeros_like(where)))
                continue
            touched = 0
            for measure, where, lifted in in_force:
                ends = step.cells(measure, countries, sectors) & where
                lifted |= ends
                where &= ~ends
                touched += int(ends.sum())
            if not touched:
                raise InputError(
                    f"In scenario `{self.name}` this lifting ends nothing: {step} Check `by`, `on` and `sectors` against the "
                    "measures before it (`detente show`)."
                )
        return _shock(self.name, in_force, economy)


def _shock(
    name: str, in_force: Sequence[tuple[Measure, np.ndarray, np.ndarray]], economy: Economy
) -> Shock:
    shape = economy.trade_share.shape
    weight, cost = np.ones(shape), np.ones(shape)
    blocked = np.zeros(shape, bool)
    tariff, export_tax = (
        np.zeros(shape) if rate is None else np.array(rate) for rate in (economy.tariff, economy.export_tax)
    )
    for measure, where, lifted in in_force:
        size = measure.size or 0.0
        if measure.instrument == "cut":
            weight[where] *= (1 - size) / (1 - measure.in_data)
            weight[lifted] /= 1 - measure.in_data
        elif measure.instrument == "ban":
            blocked |= where
        elif measure.instrument == "cost":
            cost[where] *= 1 + size
        elif measure.instrument == "tariff":
            tariff[where] += size
        else:
            export_tax[where] += size
    kinds = {measure.instrument for measure, _, _ in in_force}
    return Shock(
        trade_cost_change=cost if "cost" in kinds else None,
        blocked=blocked if "ban" in kinds else None,
        tariff_new=tariff if "tariff" in kinds else None,
        export_tax_new=export_tax if "export-tax" in kinds else None,
        weight_change=weight if "cut" in kinds else None,
        name=name,
    )


def available() -> list[str]:
    """Names of the scenarios that ship."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@cache
def _schema() -> dict[str, Any]:
    return json.loads((labels.DATA / "scenario.schema.json").read_text(encoding="utf-8"))


def _read(path: Path) -> Scenario:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"There is no scenario file `{path}`. Shipped ones: {', '.join(available())}.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"The scenario file `{path}` cannot be read: {problem}.") from None
    try:
        tree = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)  # a safe loader in either case
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"`{path.name}`{line} is not valid YAML: {problem.problem}. Check indents and quotes.") from None
    except yaml.YAMLError as problem:
        raise InputError(f"`{path.name}` is not valid YAML: {problem}.") from None
    return _build(content, tree, f"`{path.name}`", path.parent)


def _build(content: Any, tree: yaml.Node | None, where: str, folder: Path | None = None) -> Scenario:
    """A scenario from plain data that must fit the schema; `tree` gives line numbers."""
    _validate(content, tree, where)
    steps: list[Measure | Lifting] = []
    for k, entry in enumerate(content.get("measures", [])):
        try:
            if "lift" in entry:
                steps.append(Lifting(**entry["lift"]))
            else:
                span = {"range": tuple(entry["range"])} if "range" in entry else {}
                steps.append(Measure(**{**entry, **span}))
        except InputError as problem:
            raise InputError(f"{where}{_line(tree, ('measures', k))}, measure {k + 1}: {problem}") from None
    base = content.get("base")
    if base is not None:
        beside = folder / base if folder is not None else None
        base = Scenario.load(beside if beside is not None and beside.is_file() else base)
    return Scenario(
        name=content["name"],
        title=content["title"],
        measures=tuple(steps),
        base=base,
        against=content.get("against", BASELINE),
        focus=content.get("focus", base.focus if base else ""),
        description=content.get("description", ""),
        source=where,
    )


def _validate(content: Any, tree: yaml.Node | None, where: str) -> None:
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(_schema()).iter_errors(content), key=lambda e: list(map(str, e.path)))
    if not errors:
        return
    error = errors[0]
    while error.context:  # of the alternatives, the one that got furthest
        wanted = "lifting" if isinstance(error.instance, Mapping) and "lift" in error.instance else "measure"
        branch = [e for e in error.context if wanted in str(list(e.schema_path)) or e.schema_path[0] == int(wanted == "lifting")]
        error = max(branch or error.context, key=lambda e: len(e.path))
    path = list(error.absolute_path)
    place = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    raise InputError(f"{where}{_line(tree, path)}{', at `' + place + '`' if place else ''}: {_explain(error)}")


def _explain(error: Any) -> str:
    """A schema error in plain words, with the mend."""
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        extra = sorted(set(error.instance) - set(known))[0]
        return str(unknown_name("key", extra, known, f"Keys here: {', '.join(known)}."))
    if error.validator == "required":
        missing = [key for key in error.schema["required"] if key not in error.instance]
        return f"the key `{missing[0]}` is missing. Add it; keys here: {', '.join(error.schema['properties'])}."
    if error.validator == "enum":
        return str(unknown_name("choice", str(error.instance), map(str, error.validator_value)))
    if error.validator in ("type", "oneOf"):
        wanted = {"array": "a list", "object": "keys with values", "string": "a text", "number": "a number"}
        kind = wanted.get(str(error.validator_value), "a name or a list of names")
        shown = "nothing" if error.instance is None else f"`{error.instance}`"
        return f"found {shown}, expected {kind}."
    return f"{error.message}."


def _line(tree: yaml.Node | None, path: Sequence[str | int]) -> str:
    """`, line 12` for the node at `path`, or nothing where the text is not at hand."""
    node = tree
    for key in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if name.value == key), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
    return f", line {node.start_mark.line + 1}" if node is not None else ""
