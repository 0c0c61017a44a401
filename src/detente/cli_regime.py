"""`detente regime`: the catalogue of measures on the terminal: what is in force, since when, and who can end it."""

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detente.errors import InputError
from detente.terminal import busy, lines, table

if TYPE_CHECKING:
    from detente.catalogue import Catalogue, Finding
    from detente.law import Event, LegalMeasure
    from detente.locks import Locks

app = typer.Typer(
    help="The measures of law: what is in force on a day, since when, and who can end it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

MARKS = {"verified": "✓", "sourced": "·", "unverified": "?"}
LEGEND = {
    "verified": "read in the official text",
    "sourced": "stated by a named public source",
    "unverified": "from memory, nobody has checked it yet",
}
WIDTHS = (1, 11, 55, 36, 8)
DEFAULT_DAY = "2025-02-17"

Day = Annotated[str, typer.Option("--on", help="The day, as 2025-02-17.")]
Sender = Annotated[str | None, typer.Option(help="Only these senders: codes or groups, as USA or EU,GBR.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command("list")
def list_measures(
    on: Day = DEFAULT_DAY,
    sender: Sender = None,
    package: Annotated[int | None, typer.Option(help="Only this package of the EU.")] = None,
    as_json: AsJson = False,
) -> None:
    """What is in force, or suspended, on a day, by sender."""
    day, chosen = _chosen(on, sender, package)
    if as_json:
        content = [_plain(measure, day) for measure in chosen]
        typer.echo(json.dumps({"on": f"{day}", "measures": content}, indent=1, ensure_ascii=False))
        return
    _refuse_none(chosen, day, sender, package)
    typer.echo(f"{_count(len(chosen))} of {_count(len(chosen.counts()), 'sender')} in force on {_long(day)}")
    typer.echo(f"{_legend(chosen)}\n")
    head = ("", "since", "measure, number, id", "who can end it, and how", "days")
    typer.echo("\n".join(lines(head, WIDTHS, frozenset({4}))))
    for code in _order(chosen):
        own = [measure for measure in chosen if measure.sender == code]
        typer.echo(f"\n── {_sender(code)}, {_count(len(own))} " + "─" * (80 - len(_sender(code))))
        for measure in sorted(own, key=lambda measure: _since(measure, day)):
            typer.echo("\n".join(_row(measure, day)))
    typer.echo(
        "\ndays: shortest and longest wait from the decision to its effect.\n"
        "`detente regime show ID` gives history, scope and sources."
    )


@app.command()
def show(measure: Annotated[str, typer.Argument(help="A measure's id, as `list` prints it.")]) -> None:
    """One measure: history, scope, basis, who can end it, sources, and what it means for trade."""
    from detente.catalogue import load_catalogue

    catalogue = load_catalogue()
    found = catalogue[measure]
    typer.echo(f"{found.title}\n{_sender(found.sender)} · {found.number} · {found.id}\n")
    for name, text in _about(found, catalogue.as_of[found.sender]):
        typer.echo("\n".join(lines((name, text), (12, 100))))


@app.command()
def timeline(
    out: Annotated[Path, typer.Option(help="The picture: a name ending in .svg or .png.")],
    sender: Sender = None,
) -> None:
    """Draw all measures as dated bars, by sender, coloured by who can end them."""
    from detente.catalogue import load_catalogue

    if out.suffix.lower() not in (".svg", ".png"):
        raise InputError(f"`--out {out}`: expected a name ending in .svg or .png.")
    found = load_catalogue() if sender is None else _by(load_catalogue(), sender)
    if not len(found):
        raise InputError(f"`--sender {sender}`: the catalogue has no measure of that sender. {_senders()}")
    with busy("Drawing"):
        from detente.timeline import draw

        try:
            draw(found, out)
        except OSError as problem:
            raise InputError(
                f"`--out {out}` could not be written: {problem.strerror or problem}. Name another place."
            ) from None
    typer.echo(f"Picture: {out}")


@app.command()
def locks(on: Day = DEFAULT_DAY, as_json: AsJson = False) -> None:
    """Who holds the keys: by authority, the measures, the trade they cover, and what ending them undoes."""
    with busy("Reading the world") as progress:
        from detente.locks import locks as compute
        from detente.regime import Regime
        from detente.world import World

        found = compute(Regime.load(), World.load(), on, progress=progress)
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
        return
    _print_locks(found)


@app.command()
def check(
    on: Annotated[str | None, typer.Option("--on", help="Judged on this day. Default: today.")] = None,
    sender: Sender = None,
    kind: Annotated[
        str | None,
        typer.Option(help="List the findings of one kind: unverified, renewal, waiver, url or stale."),
    ] = None,
) -> None:
    """What the catalogue does not know well: unchecked facts, overdue renewals, sources without an address."""
    from detente.catalogue import load_catalogue
    from detente.law import as_date

    day = date.today() if on is None else as_date(on)
    catalogue = load_catalogue() if sender is None else _by(load_catalogue(), sender)
    findings = catalogue.check(day)
    if kind is not None:
        _refuse_unknown_kind(kind)
        _print_findings([finding for finding in findings if finding.kind == kind])
        return
    _print_quality(catalogue, findings, day)


# Choosing ---------------------------------------------------------------------------------------------------


def _chosen(on: str, sender: str | None, package: int | None) -> "tuple[date, Catalogue]":
    """The day, and what is in force or suspended on it."""
    from detente.catalogue import Catalogue, load_catalogue
    from detente.law import IN_FORCE, SUSPENDED, as_date

    day, found = as_date(on), load_catalogue()
    if sender is not None:
        found = _by(found, sender)
    if package is not None:
        found = found.package(package)
    here = tuple(measure for measure in found if measure.state(day) in (IN_FORCE, SUSPENDED))
    return day, Catalogue(here, found.as_of)


def _by(found: "Catalogue", sender: str) -> "Catalogue":
    """The measures of one sender, or of several with commas between them."""
    return found.by([name.strip() for name in sender.split(",")])


def _refuse_none(found: "Catalogue", day: date, sender: str | None, package: int | None) -> None:
    if not len(found):
        chosen = [f"of {sender}"] * (sender is not None) + [f"of package {package}"] * (package is not None)
        raise InputError(
            f"No measure {' '.join(chosen)}{' ' if chosen else ''}is in force on {day}. "
            f"Choose another day, or leave an option out. {_senders()}"
        )


def _senders() -> str:
    from detente.catalogue import load_catalogue

    return f"Senders in the catalogue: {', '.join(load_catalogue().counts())}."


# Words ------------------------------------------------------------------------------------------------------


def _sender(code: str) -> str:
    from detente import labels

    return "European Union" if code == "EU27" else labels.country_name(code)


def _order(found: "Catalogue") -> list[str]:
    """Senders, those with most measures first."""
    return [code for code, _ in Counter(measure.sender for measure in found).most_common()]


def _count(number: int, noun: str = "measure") -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _long(day: date) -> str:
    """`17 February 2025`."""
    return f"{day.day} {day:%B %Y}"


def _span(days: tuple[int, int]) -> str:
    return f"{days[0]}" if days[0] == days[1] else f"{days[0]}–{days[1]}"


def _since(measure: "LegalMeasure", day: date) -> date:
    """The day from which it has applied, last imposed before `day`."""
    return max(
        event.applies or event.date
        for event in measure.history
        if event.event == "imposed" and (event.date <= day or event is measure.history[0])
    )


def _state(measure: "LegalMeasure", day: date) -> str:
    state = measure.state(day)
    return "part waived" if state == "in force" and measure.waivers(day) else state


def _rule(measure: "LegalMeasure") -> str:
    """The lift rule's name in words, `unanimity renewal, every 6 months`."""
    rule = measure.lift_rule
    extra = f", every {rule.months} months" if rule.months else ""
    return rule.rule.replace("-", " ") + extra


def _row(measure: "LegalMeasure", day: date) -> list[str]:
    package = f"package {measure.package}: " if measure.package else ""
    joined = f"{package}{measure.number} · {measure.id}"
    fits = len(joined) <= WIDTHS[2]
    cells = (
        MARKS[measure.known],
        f"{_since(measure, day)}\n{_state(measure, day)}",
        f"{measure.title}\n" + (joined if fits else joined.replace(" · ", "\n")),
        f"{_rule(measure)}\n{measure.lift_rule.who}",
        _span(measure.lift_rule.days),
    )
    return lines(cells, WIDTHS, frozenset({4}))


def _legend(found: "Catalogue") -> str:
    counts = Counter(measure.known for measure in found)
    parts = [f"  {MARKS[word]} {counts[word]:3} {meaning}" for word, meaning in LEGEND.items()]
    return "\n".join(["checked, by the weakest of number, date and lift rule:", *parts])


def _plain(measure: "LegalMeasure", day: date) -> dict[str, Any]:
    """A measure for programs; keys in docs/cli.md."""
    return {
        "id": measure.id,
        "title": measure.title,
        "sender": measure.sender,
        "number": measure.number,
        "package": measure.package,
        "since": f"{_since(measure, day)}",
        "state": measure.state(day),
        "waived_in_part": bool(measure.waivers(day)),
        "lift_rule": measure.lift_rule.rule,
        "lifted_by": measure.lift_rule.who,
        "days": list(measure.lift_rule.days),
        "verification": measure.known,
        "reading": measure.sentences(),
    }


# One measure ------------------------------------------------------------------------------------------------


def _about(measure: "LegalMeasure", kept: date) -> list[tuple[str, str]]:
    """Names and texts of the sheet that `show` prints."""
    scope, rule = measure.scope, measure.lift_rule
    covers = [f"{scope.direction}{': ' if scope.sectors else ''}{_sectors(scope.sectors)}", scope.products]
    rows = [
        ("state", f"{_state(measure, kept)} on {_long(kept)}, up to which the file is kept"),
        ("targets", ", ".join(_sender(code) for code in measure.targets)),
        ("covers", "\n".join(filter(None, (*covers, scope.entities)))),
        ("basis", measure.legal_basis),
        (
            "instrument",
            f"{measure.instrument.replace('-', ' ')}, {measure.number} {_tag(measure.verification)}",
        ),
        *_under("history", [_event(event) for event in measure.history]),
        ("lifted by", "\n".join(filter(None, (f"{rule} {_tag(rule.verification)}", rule.note)))),
    ]
    if measure.renewal:
        rows.append(("renewal", f"due by {measure.renewal.date} {_tag(measure.renewal.verification)}"))
    rows += _under("for trade", measure.sentences() or [measure.no_reading])
    rows += _under(
        "sources",
        [f"{s.citation} {_tag(s.verification)}" + f"\n{s.url}" * bool(s.url) for s in measure.sources],
    )
    return rows


def _sectors(names: tuple[str, ...]) -> str:
    from detente import labels

    return ", ".join(labels.sector_name(name) for name in names)


def _tag(verification: str) -> str:
    return f"({verification})"


def _event(event: "Event") -> str:
    parts = [f"applies from {event.applies}"] * bool(event.applies) + [f"until {event.until}"] * bool(
        event.until
    )
    more = "; ".join(filter(None, [*parts, event.note]))
    return f"{event.date}  {event.event}{': ' if more else ''}{more} {_tag(event.verification)}"


def _under(name: str, texts: list[str]) -> list[tuple[str, str]]:
    """Several texts under one name, which only the first shows."""
    return [(name if at == 0 else "", text) for at, text in enumerate(texts)]


# Locks ------------------------------------------------------------------------------------------------------


def _print_locks(found: "Locks") -> None:
    from detente.digits import format_percent, format_usd
    from detente.law import as_date

    sets = list(found.loss)
    losses = " and ".join(
        f"{format_percent(loss, sign=False)} with elasticities {name}" for name, loss in found.loss.items()
    )
    text = (
        f"The measures in force on {_long(as_date(found.date))}, those of both sides, hold {_sender(found.target)}'s real "
        f"income below where it would be without any: by {losses}."
    )
    typer.echo("\n".join(lines((text,), (108,))) + "\n")
    widths = (30, 8, 9, 11, *(19 for _ in sets), 9)
    flush = range(1, len(widths))
    head = (
        "",
        "measures",
        "with a\nreading",
        "trade\nUSD billion",
        *(f"loss undone alone\n{s}" for s in sets),
        "days",
    )
    typer.echo(table(head, [], widths, flush))
    sender = ""
    for row in found.rows:
        if row.sender != sender:
            sender = row.sender
            typer.echo(_sender(sender))
        undone = (format_percent(100 * row.undone[name], sign=False) if row.reading else "–" for name in sets)
        name = f"  {row.rule.replace('-', ' ')}" if row.rule else "  all of these"
        amount = format_usd(row.trade, sign=False) if row.reading else "–"
        cells = (name, f"{row.measures}", f"{row.reading}", amount, *undone, _span(row.days))
        typer.echo("\n".join(lines(cells, widths, frozenset(flush))))
    note = (
        f"trade: flows of {found.year} with the targets in the sectors and directions that the readings name. loss undone "
        f"alone: the part of {_sender(found.target)}'s loss that is gone when this authority ends all it can and nobody "
        "else moves. Parts do not add up, for measures lie on top of each other: ending one of two frees nothing. days: "
        "shortest and longest wait from decision to effect."
        + " –: these measures have no reading for trade."
        * any(not row.reading for row in found.rows)
    )
    typer.echo("\n" + "\n".join(lines((note,), (108,))))


# Quality ----------------------------------------------------------------------------------------------------

KINDS = {
    "unverified": "facts from memory that nobody has checked",
    "renewal": "a renewal was due, and what happened is not entered",
    "waiver": "the last waiver has ended, and nothing later is entered",
    "url": "no source has an address",
    "stale": "the file has not been kept for half a year",
}


def _refuse_unknown_kind(kind: str) -> None:
    from detente.errors import unknown_name

    if kind not in KINDS:
        raise unknown_name("kind of finding", kind, KINDS)


def _print_findings(findings: "list[Finding]") -> None:
    if not findings:
        typer.echo("Nothing of that kind.")
        return
    rows = [(finding.measure, finding.text) for finding in findings]
    typer.echo(table(("measure", "finding"), rows, (30, 82)))
    typer.echo(f"\n{_count(len(findings), 'finding')}.")


def _print_quality(catalogue: "Catalogue", findings: "list[Finding]", day: date) -> None:
    kinds, touched = Counter(f.kind for f in findings), {f.measure for f in findings}
    typer.echo(f"{_count(len(catalogue))}, judged on {_long(day)}\n")
    head = ("sender", "measures", *LEGEND, "file kept up to")
    counts = catalogue.counts()
    rows = [
        (_sender(code), f"{sum(c.values())}", *(f"{c[word]}" for word in LEGEND), f"{catalogue.as_of[code]}")
        for code in _order(catalogue)
        for c in [counts[code]]
    ]
    total = [sum(c[word] for c in counts.values()) for word in LEGEND]
    rows.append(("all", f"{len(catalogue)}", *map(str, total), ""))
    typer.echo(table(head, rows, (16, 8, 10, 10, 10, 15), range(1, 6)))
    typer.echo("A measure is as good as the weakest of its number, first date and lift rule.\n")
    found = [(kind, f"{kinds[kind]}", meaning) for kind, meaning in KINDS.items()]
    typer.echo(table(("finding", "count", "meaning"), found, (16, 8, 58), (1,)))
    late = [
        (_sender(late.sender), f"{late.due}", f"{len(late.measures)}", late.why)
        for late in catalogue.overdue(day)
    ]
    if late:
        typer.echo(
            "\n"
            + table(("renewal of", "due by", "measures", "why it is missing"), late, (16, 10, 8, 72), (2,))
        )
        typer.echo("They count as in force here; in law they lapsed, unless an act renewed them.")
    typer.echo(
        f"\n{_count(len(findings), 'finding')} on {_count(len(touched))}; "
        "`detente regime check --kind unverified` lists those of a kind."
    )
