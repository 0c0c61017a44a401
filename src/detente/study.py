"""A study: claims, the quantity that decides each, a rule, and the verdict that the rule gives on the range.

The file of a study (`data/studies/*.yaml`, explained in docs/study.md) holds claims and rules and no results.
A test holds when the whole range lies on its side of the threshold, fails when the whole range lies on the other,
and is open in between. All tests holding is "supported"; one failing is "not supported"; else, and wherever a part
of the model is missing, "not decidable with this model".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from detente import labels, yaml_file
from detente.bench import Bench
from detente.equilibrium import TOLERANCE
from detente.errors import InputError, unknown_name
from detente.evidence import Ledger, Point, Statement
from detente.horizon import DEFAULT
from detente.quantity import Quantity, Setting
from detente.scenario import Scenario
from detente.sizes import CENTRAL, position
from detente.version import __version__

SHIPPED = labels.DATA / "studies"
SUPPORTED, REFUTED, OPEN = VERDICTS = ("supported", "not supported", "not decidable with this model")
_SPACE = "\N{NO-BREAK SPACE}"


class Bound(NamedTuple):
    """A bound that a quantity must keep: `above` or `below` a threshold at every setting."""

    quantity: Quantity
    side: str
    threshold: float

    @property
    def held(self) -> int:
        """At how many settings it holds."""
        return sum(
            value > self.threshold if self.side == "above" else value < self.threshold
            for value in self.quantity.values.values()
        )

    @property
    def state(self) -> str:
        """`holds` at every setting, `fails` at every setting, or `open`."""
        return {0: "fails", len(self.quantity.values): "holds"}.get(self.held, "open")

    @property
    def rule(self) -> str:
        """The bound in words, `above 50 %`."""
        number = f"{self.threshold:g}".replace("-", "−")
        unit = "" if self.quantity.unit == "times" else self.quantity.unit
        return f"{self.side} {number}{_SPACE}{unit}".rstrip()

    @property
    def finding(self) -> str:
        """What came of it, with the range."""
        of = len(self.quantity.values)
        where = {"holds": f" at all {of} settings", "fails": f" at none of {of} settings"}
        if not self.quantity.modelled:
            where = {"open": " only on one reading of the record"}
        told = where.get(
            self.state, "" if not self.quantity.modelled else f" at {self.held} of {of} settings only"
        )
        word = "fails" if self.state == "fails" and not told else "holds"
        return f"{self.quantity.label}: {self.quantity.text}. Asked: {self.rule}; this {word}{told}."


class Since(NamedTuple):
    """What happened after: a statement of the ledger and its point on one topic."""

    statement: Statement
    point: Point


class Panel(NamedTuple):
    """Quantities of one unit that share a scale."""

    title: str
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True)
class Claim:
    """A claim in our words with its deciding tests, what is shown beside them, and what has happened since."""

    id: str
    by: str
    claim: str
    decides: str
    tests: tuple[Bound, ...] = ()
    needs: str = ""
    panels: tuple[Panel, ...] = ()
    note: str = ""
    shown: Quantity | None = None
    since: tuple[Since, ...] = ()

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, by the rule in the module's docstring."""
        if self.needs or not self.tests:
            return OPEN
        states = {test.state for test in self.tests}
        return REFUTED if "fails" in states else OPEN if "open" in states else SUPPORTED

    @property
    def rule(self) -> str:
        """The rule in words, before any result."""
        if self.needs:
            return f"No rule can be applied yet: it needs {self.needs}."
        asked = " ".join(f"{test.quantity.label}: {test.rule}." for test in self.tests)
        where = ("", "fails")
        if any(test.quantity.modelled for test in self.tests):
            where = (" at every setting", "holds at none")
        return f"{asked} Supported if all of this holds{where[0]}, not supported if any of it {where[1]}."

    @property
    def why(self) -> list[str]:
        """Why the verdict is what it is: one sentence a test, or what is needed."""
        if self.needs:
            return [f"Needs {self.needs}."]
        return [test.finding for test in self.tests]

    @property
    def headline(self) -> Quantity | None:
        """The quantity that a one-line summary shows: `shown`, else the test that decides, else the first in a panel."""
        if self.shown:
            return self.shown
        order = {REFUTED: "fails", OPEN: "open"}.get(self.verdict, "holds")
        deciding = [test.quantity for test in self.tests if test.state == order]
        others = [quantity for panel in self.panels for quantity in panel.quantities]
        return next(iter([*deciding, *others]), None)

    def to_json(self) -> dict[str, Any]:
        """The claim as plain data."""
        return {
            "id": self.id,
            "claim": self.claim,
            "by": self.by,
            "decides": self.decides,
            "rule": self.rule,
            "verdict": self.verdict,
            "why": self.why,
            "needs": self.needs,
            "tests": [
                {"quantity": t.quantity.key, t.side: t.threshold, "state": t.state, "held": t.held}
                for t in self.tests
            ],
            "quantities": {
                q.key: {"label": q.label, "unit": q.unit, "text": q.text, "detail": q.detail}
                | {"low": q.low, "high": q.high, "values": dict(q.values)}
                for q in self.quantities()
            },
            "note": self.note,
            "since": [
                {
                    "statement": s.statement.id,
                    "date": str(s.statement.date),
                    "speaker": s.statement.speaker,
                    "paraphrase": s.point.paraphrase,
                    "source": s.statement.source.citation,
                    "url": s.statement.source.url,
                    "verification": s.statement.source.verification,
                }
                for s in self.since
            ],
        }

    def quantities(self) -> list[Quantity]:
        """All quantities it uses, each once."""
        used = [*(t.quantity for t in self.tests), *(q for panel in self.panels for q in panel.quantities)]
        return list({quantity.key: quantity for quantity in used}.values())


@dataclass(frozen=True, repr=False)
class Study:
    """Claims with their verdicts, and what they rest on.

    about: words of the file; findings: sentences with ranges; read: statements whose topics were counted; grids: other
    settings by name, for quantities that ask for them.
    """

    name: str
    title: str
    about: Mapping[str, Any]
    claims: tuple[Claim, ...]
    settings: tuple[Setting, ...]
    grids: Mapping[str, tuple[Setting, ...]]
    situations: tuple[Scenario, ...]
    findings: tuple[str, ...]
    article: Statement
    read: tuple[Statement, ...]
    provenance: Mapping[str, Any] = field(repr=False)

    def counts(self) -> dict[str, int]:
        """How many claims got which verdict."""
        return {verdict: sum(claim.verdict == verdict for claim in self.claims) for verdict in VERDICTS}

    def to_json(self) -> dict[str, Any]:
        """The study as plain data: `study.json`, explained in docs/study.md."""
        return {
            "name": self.name,
            "title": self.title,
            "verdicts": self.counts(),
            "findings": list(self.findings),
            "claims": [claim.to_json() for claim in self.claims],
            "settings": [setting._asdict() for setting in self.settings],
            "grids": {name: [setting._asdict() for setting in grid] for name, grid in self.grids.items()},
            "situations": {s.name: {"title": s.title, "measures": s.sentences()} for s in self.situations},
            "provenance": dict(self.provenance),
        }

    def __repr__(self) -> str:
        width = max(len(claim.verdict) for claim in self.claims)
        lines = [self.title, ""]
        for claim in self.claims:
            shown = claim.headline
            told = f"needs {claim.needs}" if claim.needs else f"{shown.label}: {shown.text}" if shown else ""
            lines.append(f"{claim.id:4} {claim.verdict:{width}}  {told}")
        counts = ", ".join(f"{number} {verdict}" for verdict, number in self.counts().items())
        return "\n".join([*lines, "", f"{counts}; {self.count}."])

    @property
    def count(self) -> str:
        """How many settings there are, in words."""
        others = [f"{len(grid)} for {name}" for name, grid in self.grids.items()]
        return ", ".join([f"{len(self.settings)} settings", *others])


def available() -> list[str]:
    """Names of the studies that ship."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def run_study(name: str | Path) -> Study:
    """Compute a shipped study by name, or that of a YAML file.

    Raises `InputError` for an unknown name, a file that does not fit `data/study.schema.json`, or names in it that
    lead nowhere (quantities, scenarios, statements of the ledger).
    """
    content = _read(name)
    given = content["settings"]
    grids = {
        name: _grid({"readings": list(given["readings"])[:1], **grid})
        for name, grid in given.get("grids", {}).items()
    }
    bench = Bench(_grid(given), given["readings"], content.get("scenarios", {}), grids)
    bench.prepare(content["quantities"])
    computed: dict[str, Quantity] = {}

    def quantity(key: str) -> Quantity:
        if key not in content["quantities"]:
            raise unknown_name("quantity", key, content["quantities"])
        if key not in computed:
            computed[key] = bench.quantity(key, content["quantities"][key])
        return computed[key]

    claims = []
    for entry in content["claims"]:
        try:
            claims.append(_claim(entry, quantity, bench.ledger))
        except InputError as problem:
            raise InputError(f"Study `{content['name']}`, claim {entry['id']}: {problem}") from None
    findings = tuple(_filled(text, quantity) for text in content.get("findings", ()))
    account = bench.account
    statements = dict.fromkeys(q["statement"] for q in content["quantities"].values() if "statement" in q)
    return Study(
        name=content["name"],
        title=content["title"],
        about={key: " ".join(content[key].split()) for key in ("deck", "about", "is_not")},
        claims=tuple(claims),
        settings=tuple(bench.settings),
        grids={name: tuple(grid) for name, grid in grids.items()},
        situations=tuple(account.situations.values()),
        findings=findings,
        article=bench.ledger.statement(content["article"]),
        read=tuple(bench.ledger.statement(name) for name in statements),
        provenance={
            "data": account.data,
            "elasticities": account.elasticities,
            "tolerance": TOLERANCE,
            **account.quality,
            "catalogue_until": str(bench.catalogue_until),
            "version": __version__,
        },
    )


def _grid(given: Mapping[str, Any]) -> list[Setting]:
    """Every combination of the settings given; `paired`, of sets, closures and cuts only the first together,
    then the second, and so on.

    Raises `InputError` where there are not as many closures as sets to pair.
    """
    sets, closures = given["elasticities"], given["closures"]
    if given.get("paired") and len(sets) != len(closures):
        raise InputError(
            f"a grid that is `paired` has {len(sets)} sets of elasticities and {len(closures)} closures; expected as many "
            "of one as of the other."
        )
    both = zip(sets, closures, strict=True) if given.get("paired") else product(sets, closures)
    cuts = list(dict.fromkeys(position(at) for at in given.get("cuts", [CENTRAL])))
    cases = list(product(both, given["readings"], cuts, given.get("horizons", [DEFAULT])))
    if given.get("paired") and len(cuts) > 1:
        place = {pair: cuts[k % len(cuts)] for k, pair in enumerate(zip(sets, closures, strict=True))}
        cases = [case for case in cases if case[2] == place[case[0]]]
    return [Setting(*pair, *case, given.get("world")) for pair, *case in cases]


def _claim(entry: Mapping[str, Any], quantity: Callable[[str], Quantity], ledger: Ledger) -> Claim:
    tests = []
    for test in entry.get("tests", ()):
        side = "above" if "above" in test else "below"
        tests.append(Bound(quantity(test["quantity"]), side, float(test[side])))
    panels = [
        Panel(p["title"], tuple(quantity(key) for key in p["quantities"])) for p in entry.get("panels", ())
    ]
    for panel in panels:
        if len({(q.unit, q.modelled) for q in panel.quantities}) > 1:
            raise InputError(f"the panel “{panel.title}” mixes units. Give each unit a panel of its own.")
    words = {key: " ".join(entry.get(key, "").split()) for key in ("by", "claim", "decides", "needs", "note")}
    since = tuple(_since(ledger, **item) for item in entry.get("since", ()))
    shown = quantity(entry["headline"]) if "headline" in entry else None
    return Claim(id=entry["id"], **words, tests=tuple(tests), panels=tuple(panels), shown=shown, since=since)


def _filled(text: str, quantity: Callable[[str], Quantity]) -> str:
    """The text with each `{key}` replaced by that quantity's range."""
    return re.sub(r"\{([\w-]+)\}", lambda found: quantity(found[1]).text, " ".join(text.split()))


def _since(ledger: Ledger, statement: str, topic: str) -> Since:
    found = ledger.statement(statement)
    point = found.point(topic)
    if point is None:
        topics = [point.topic for point in found.points]
        raise InputError(
            f"the statement `{statement}` has no point on `{topic}`, only on {', '.join(topics)}."
        )
    return Since(found, point)


def _read(name: str | Path) -> dict[str, Any]:
    """The checked content of a study's file."""
    path = SHIPPED / f"{name}.yaml" if str(name) in available() else Path(name)
    if not path.is_file():
        raise unknown_name("study", str(name), available(), "A path to a YAML file is understood too.")
    shown = f"`{path.name}`"
    content, tree = yaml_file.parse(
        yaml_file.read_text(path, "study"), shown, "claim or quantity", dates_as_text=True
    )

    def place(keys: yaml_file.KeyPath) -> str:
        inside = ".".join(str(key) for key in keys if isinstance(key, str))
        line = yaml_file.line(tree, keys)
        return f"{shown}, line {line}" + (f", `{inside}`" if inside else "")

    rules = yaml_file.schema(labels.DATA / "study.schema.json")
    yaml_file.check(content, tree, rules, place, model="the shipped study")
    return content


def names(settings: Sequence[Setting], part: str) -> list[str]:
    """The different values of one part of the settings, in order."""
    return list(dict.fromkeys(str(getattr(setting, part)) for setting in settings))
