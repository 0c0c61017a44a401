"""`detente diff`: what differs between two scenarios, on the terminal."""

from typing import TYPE_CHECKING, Annotated

import typer

from detente.terminal import busy, lines

if TYPE_CHECKING:
    from detente.difference import Difference


def diff(
    first: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")],
    second: Annotated[str, typer.Argument(help="Another.")],
) -> None:
    """What differs between two scenarios, in words and in the trade they treat differently."""
    with busy("Comparing"):
        from detente.calibration import calibrate
        from detente.difference import compare
        from detente.scenario import Scenario
        from detente.world import World

        sides = Scenario.load(first), Scenario.load(second)
        world = World.load(next((side.world for side in sides if side.world), None))
        found = compare(*sides, world, calibrate(world))
    _print_words(found)
    _print_trade(found, world.data.attrs.get("year", ""))


def _print_words(found: "Difference") -> None:
    for head, sentences in (
        (f"Only in {found.first}:", found.only_first),
        (f"Only in {found.second}:", found.only_second),
    ):
        if sentences:
            typer.echo(head)
            typer.echo("\n".join(x for text in sentences for x in lines(("  ·", text), (3, 110))) + "\n")
    if not (found.only_first or found.only_second):
        typer.echo("The same measures in both.\n")
    elif found.both:
        count = len(found.both)
        typer.echo(f"{count} sentence{' is' if count == 1 else 's are'} the same in both.\n")


def _print_trade(found: "Difference", year: object) -> None:
    from detente import labels
    from detente.digits import format_usd
    from detente.tables import party_name

    if found.expected:
        names = " and ".join(found.expected)
        text = f"Trade under {names} is what is expected over the possible outcomes, by their probabilities."
        typer.echo("\n".join(lines((text,), (110,))) + "\n")
    for word, trade in (("freer", found.freer), ("held tighter", found.tighter)):
        total = float(trade.sum())
        if not total:
            typer.echo(f"{found.second} leaves no trade {word} than {found.first}.")
            continue
        change = float(found.direct.where(trade > 0, 0.0).sum())
        typer.echo(
            f"Trade that is {word} under {found.second} than under {found.first}: USD "
            f"{format_usd(total, sign=False)} billion in {year};\n"
            f"at unchanged prices it changes by {format_usd(change)}."
        )
        rows = [
            (f"{party_name(one)} → {party_name(other)}", format_usd(value, sign=False))
            for one, other, value in found.partners(trade)
        ]
        typer.echo("\n".join(x for row in rows for x in lines(("", *row), (1, 50, 10), frozenset({2}))))
        goods = [f"{labels.sector_name(c)} {format_usd(v, sign=False)}" for c, v in found.products(trade)]
        typer.echo("\n".join(lines(("", "Mostly: " + ", ".join(goods) + "."), (1, 110))) + "\n")
