"""`detente evidence`: the ledger of what was said and done, on the terminal."""

from typing import Annotated

import typer

from detente.errors import InputError
from detente.terminal import fill

app = typer.Typer(
    help="What was said and done about the sanctions, by whom, and how we know.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_statements(
    since: Annotated[str | None, typer.Option(help="Only from this day on, as 2025-02-18.")] = None,
    measure: Annotated[
        str | None, typer.Option(help="Only what bears on this measure or package, as EU-P19.")
    ] = None,
) -> None:
    """List the statements, oldest first."""
    from detente.evidence import VERIFICATION, load_ledger

    ledger = load_ledger()
    chosen = ledger.statements if since is None else ledger.since(since)
    if measure is not None:
        bearing = ledger.bearing_on(measure)
        chosen = tuple(statement for statement in chosen if statement in bearing)
    if not chosen:
        raise InputError("No statement fits. `detente evidence list` without options shows all.")
    listed = ledger.table(chosen)
    typer.echo(fill(listed, " " * listed.index("occasion")) + "\n")
    for word, meaning in VERIFICATION.items():
        typer.echo(f"{word}: {meaning}.")


@app.command()
def show(statement: Annotated[str, typer.Argument(help="A statement's id.")]) -> None:
    """Print a statement: its points in our words, what they bear on, and the source."""
    from detente.evidence import load_ledger

    typer.echo(str(load_ledger().statement(statement)))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A statement's id.")],
    second: Annotated[str, typer.Argument(help="Another statement's id.")],
) -> None:
    """Two statements by topic: what both assert, what only one does, what neither does."""
    from detente.evidence import load_ledger

    typer.echo(str(load_ledger().compare(first, second)))
