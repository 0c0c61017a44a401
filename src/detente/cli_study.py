"""`detente study`: a study's claims and verdicts on the terminal, its page and its data in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from detente.terminal import busy


def study(
    name: Annotated[str, typer.Argument(help="A shipped study's name, as us-russia-2025, or a YAML file.")],
    out: Annotated[Path | None, typer.Option(help="Folder for study.html and study.json.")] = None,
) -> None:
    """Put claims to the model, the law and the record: a verdict on each, with its range."""
    with busy("Computing the study"):
        from detente.study import run_study

        made = run_study(name)
    typer.echo(repr(made))
    if out is None:
        return
    from detente.errors import InputError
    from detente.study_page import write_study

    try:
        paths = write_study(made, out)
    except OSError as problem:
        raise InputError(
            f"`--out {out}`: {problem.strerror or problem}. Name a folder that can be written."
        ) from None
    typer.echo("")
    for path in paths.values():
        typer.echo(str(path))
