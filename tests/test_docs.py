"""The documentation cannot rot: its code runs, the output shown is what is printed, nothing is missing.

A `python` block is executed, all blocks of a page in one namespace; the `text` block right after it is what
it prints. In a `console` block, the lines under `$ detente …` are what that command prints. A last line `…`
stands for all further output; FOLDER for the folder with Caliendo & Parro's data, and what needs it is left
out where that is absent.
`python -m tests.test_docs` writes what is printed now into the pages.
"""

import contextlib
import io
import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import detente as dt
from detente import labels
from detente.calibration import calibrate
from detente.cli import app
from detente.digits import format_percent
from detente.economy import Economy
from detente.law import LIFT_RULES
from detente.sources import world_file
from detente.welfare import PARTS
from tests import wiod

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *(path for path in [ROOT / "README.md"] if path.exists())]
NAMES = [path.name for path in PAGES]
LONG = (
    "study.md",
    "oil-and-gas.md",
    "model.md",
    "paths.md",
    "uncertainty.md",
    "coalition.md",
)  # to run: minutes together
RUN = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NAMES]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DATA = (wiod.shared_data() / "nafta_cp2015_raw.npz").resolve()
RESIDUAL = re.compile(r"residual [\d.e+-]+")  # differs between machines, and is no result


def text(name: str) -> str:
    return next(path for path in PAGES if path.name == name).read_text("utf-8")


def prose(name: str) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", text(name))


def marked(page: str) -> set[str]:
    """Everything that stands in `code` marks on a page, and the words in it."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    return set(spans) | {word for span in spans for word in re.findall(r"[\w.-]+", span)}


def blocks(page: str, *languages: str) -> list[str]:
    return [body for language, body in BLOCK.findall(page) if language in languages]


def plain(printed: str) -> str:
    """Without spaces at line ends and hard spaces, which editors lose."""
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def shorten(printed: str, shown: str) -> str:
    """`printed`, cut where `shown` is cut by a last line `…`."""
    lines = shown.strip().splitlines()
    if lines[-1:] != ["…"]:
        return printed
    return "\n".join([*printed.splitlines()[: len(lines) - 1], "…"])


def executed(page: str) -> Iterator[tuple[re.Match[str], str]]:
    """For each block that shows output: the block, and what is printed now. Runs all python blocks."""
    space: dict[str, Any] = {"__name__": page}
    source, printed, end = text(page), "", -1
    for match in BLOCK.finditer(source):
        language, body = match[1], match[2].replace("FOLDER", str(DATA.parent))
        if "FOLDER" in match[2] and not DATA.exists():
            continue
        if language == "python":
            code = compile(body, f"{page}:{source[: match.start()].count(chr(10)) + 1}", "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, space)
            printed, end = out.getvalue(), match.end()
        elif language == "text" and end >= 0 and not source[end : match.start()].strip():
            yield match, shorten(plain(printed), match[2])
        elif language == "console" and body.startswith("$ detente ") and body.count("\n$ ") == 0:
            result = CliRunner().invoke(app, shlex.split(body.splitlines()[0])[2:])
            assert result.exit_code == 0, result.output
            now = f"{match[2].splitlines()[0]}\n{plain(result.stdout)}"
            yield match, shorten(now, match[2])


@pytest.mark.parametrize("page", RUN)
def test_code_runs_and_prints_what_is_shown(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for match, now in executed(page):
        assert RESIDUAL.sub("residual", now) == RESIDUAL.sub("residual", plain(match[2]))


def test_no_shown_output_is_empty():
    assert not [page for page in NAMES for body in blocks(text(page), "text", "console") if not body.strip()]


# Scenarios --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def economy() -> Economy:
    return calibrate(dt.World.load())


@pytest.mark.parametrize("page", NAMES)
def test_every_scenario_shown_is_one(page: str, economy: Economy, tmp_path: Path):
    """Each becomes a shock for the world that it needs."""
    for body in blocks(text(page), "yaml"):
        path = tmp_path / "shown.yaml"
        path.write_text(body, "utf-8")
        scenario = dt.Scenario.load(path)
        for one in scenario.branches().values() or [scenario]:
            one.shock(calibrate(dt.World.load(one.world)) if one.world else economy)


def schema_keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node.get("properties", {})
        yield from (word for word in node.get("enum", []))
        for value in node.values():
            yield from schema_keys(value)


def test_every_key_and_choice_of_a_scenario_is_documented_and_shown():
    schema = json.loads((labels.DATA / "scenario.schema.json").read_text("utf-8"))
    keys = set(schema_keys(schema))
    assert len(keys) > 15
    assert keys <= marked("scenarios.md")
    shown = "".join(blocks(text("scenarios.md"), "yaml"))
    properties = {key for key in keys if re.search(rf"\b{key}:", shown)}
    choices = {key for key in keys if re.search(rf": {key}\b", shown)}
    rules = set(LIFT_RULES)
    assert keys - properties - choices <= {"observed", "both", *rules}  # choices that need no example


def test_tables_of_keys_hold_no_other():
    schema = json.loads((labels.DATA / "scenario.schema.json").read_text("utf-8"))
    tables = {
        "Keys of a scenario": schema["properties"],
        "Keys of a measure": schema["$defs"]["measure"]["properties"],
        "Possible outcomes": schema["$defs"]["outcome"]["properties"],
        "Order, and lifting": schema["$defs"]["selection"]["properties"],
    }
    for heading, known in tables.items():
        section = prose("scenarios.md").split(f"## {heading}\n")[1].split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(known)


def test_every_group_and_shipped_scenario_is_documented():
    named = marked("scenarios.md")
    assert set(labels.country_groups()) | set(labels.sector_groups()) <= named
    assert {path.stem for path in (labels.DATA / "scenarios").glob("*.yaml")} <= named


# Command line and JSON --------------------------------------------------------------------------------------


def commands(group: Any, path: str = "detente") -> Iterator[tuple[str, Any]]:
    """The name and command of every leaf of the tree (typer may bring a click of its own, hence no types)."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def options(command: Any) -> set[str]:
    names = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
    return set(names) - {"--help"}


def test_every_command_and_option_is_documented():
    root = typer.main.get_command(app)
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", prose("cli.md"), re.MULTILINE | re.DOTALL))
    known = dict(commands(root))
    assert {name for name in sections if name.startswith("detente ")} == set(known)
    for name, command in known.items():
        assert set(re.findall(r"^\| `(--[\w-]+)` \|", sections[name], re.MULTILINE)) == options(command), name
    assert options(root) <= marked("cli.md")


def test_every_exit_code_is_documented():
    codes = {0, *(kind.exit_code for kind in (dt.DetenteError, *dt.DetenteError.__subclasses__()))}
    section = prose("cli.md").split("## Exit codes\n")[1].split("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d) \|", section, re.MULTILINE)} == codes


def json_keys(content: Any, outcome: dt.Outcome, path: str = "") -> Iterator[str]:
    """`groups.<group>.real_income` for every key at any depth, codes and group names replaced, lists passed through."""
    if isinstance(content, list):
        for entry in content:
            yield from json_keys(entry, outcome, path)
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if path.endswith("groups."):
            key = "<group>"
        elif path.endswith("horizon.values."):
            key = "<parameter>"
        elif key in outcome.economy.countries:
            key = "<country>"
        elif key in outcome.economy.sectors:
            key = "<sector>"
        elif key in PARTS and path.startswith("welfare_split."):
            key = "<part>"
        yield f"{path}{key}"
        yield from json_keys(value, outcome, f"{path}{key}.")


QUOTA = """
name: quota
title: A quota in the tiny world
focus: RUS
measures: [{ by: XCO, on: RUS, instrument: quota, sectors: ENE, ceiling: 0.8 }]
"""


def test_every_json_key_is_documented_and_no_other(tmp_path: Path):
    outcome = dt.simulate(calibrate(dt.World.load("tiny")), "us-relief")
    keys = set()
    (tmp_path / "quota.yaml").write_text(QUOTA, "utf-8")
    around = tmp_path / "around.yaml"
    around.write_text(
        "{name: around, title: Around, base: us-relief, evasion: {hubs: [XRW]}, "
        "measures: [{by: USA, on: RUS, instrument: ban}]}",
        "utf-8",
    )
    quota = str(tmp_path / "quota.yaml")
    for name in ("us-relief", "us-relief-at-risk", str(around), quota):
        split = [] if name == quota else ["--split"]  # which refuses rents
        printed = CliRunner().invoke(app, ["run", name, "--world", "tiny", "--json", "--cite", *split])
        keys |= set(json_keys(json.loads(printed.stdout), outcome))
    drawn = ["--draws", "4", "--method", "saltelli", "--parameters", "trade_elasticity_scale", "--json"]
    printed = CliRunner().invoke(app, ["run", "status-quo-2025-aggregate", "--world", "tiny", *drawn])
    keys |= set(json_keys(json.loads(printed.stdout), outcome))
    assert set(re.findall(r"^\| `([\w.<>]+)` \|", prose("json.md"), re.MULTILINE)) == keys


# Python and data --------------------------------------------------------------------------------------------


def test_every_public_name_is_documented():
    assert set(dt.__all__) <= marked("python.md")


KINDS = [
    "Coalition",
    "World",
    "Economy",
    "Shock",
    "PossibleOutcome",
    "Scenario",
    "Equilibrium",
    "Outcome",
    "Outcomes",
    "Prospect",
    "Horizon",
]


@pytest.mark.parametrize("name", KINDS)
def test_every_public_member_is_documented(name: str):
    kind = getattr(dt, name)
    own = [base for base in kind.__mro__ if base.__module__.startswith("detente")]
    named = {*kind.__dataclass_fields__}.union(*map(vars, own))
    members = {member for member in named if not member.startswith("_")}
    known = marked("python.md")
    assert not [m for m in members if not {m, f"{name}.{m}", f"{name.lower()}.{m}"} & known]


def test_variables_coordinates_and_attributes_of_the_file_are_documented(tmp_path: Path):
    named = marked("data.md")
    world = dt.World.load("tiny")
    stored = world_file.read(world.save(tmp_path / "tiny.nc"))
    assert {*world_file.AXES, *map(str, stored.coords), *stored.attrs, "format"} <= named
    assert world_file.FORMAT in named
    rows = {row["name"]: row for row in labels.variables() if row["group"] == "World"}
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", prose("data.md"), re.MULTILINE))
    assert shown == {name: ", ".join(row["axes"].split()) for name, row in rows.items()}


def test_every_variable_of_an_outcome_is_documented():
    assert {row["name"] for row in labels.variables() if row["group"] == "Outcome"} <= marked("python.md")


def test_elasticity_sets_are_documented_with_their_results():
    page = text("elasticities.md")
    rows = dict(re.findall(r"^\| `([\w-]+)`[^|]*\|[^|]*(\|.*)$", page, re.MULTILINE))
    assert set(rows) == set(dt.elasticity_sets())
    world = dt.World.load()
    for name, row in rows.items():
        assert f"### {name}\n" in page
        outcome = dt.simulate(calibrate(world, name), "us-relief")
        found = [plain(format_percent(outcome.group(code)["real_income"])) for code in ("RUS", "USA")]
        assert [cell.strip() for cell in row.strip("| ").split("|")] == found


# The price of the imputation --------------------------------------------------------------------------------


@pytest.mark.skipif(not wiod.path().exists(), reason=f"no WIOD tables in {wiod.shared_data()}")
def test_the_price_of_the_imputation_is_what_the_check_prints():
    from tools import check_imputation as check

    rows = [row for year in check.YEARS for row in check.compare(year)]
    assert dt.World.load().data.attrs["limits"].splitlines()[0] == check.sentence(rows)
    shown = [line for line in text("data.md").splitlines() if re.match(r"\| \d{4} ", line)]
    assert shown == [
        f"| {row.year} | `{row.elasticities}` | {row.who} | "
        + f"{row.true:.3f} | {row.imputed:.3f} | {100 * row.error:+.1f} % |".replace("-", "−")
        for row in rows
        if isinstance(row, check.Loss) and row.odds == "as built"
    ]


def test_the_limits_state_german_purchases_as_the_table_has_them():
    data = dt.World.load().data.sel(exporter="RUS", importer="DEU", sector="B06")
    billion = float(data["intermediate_trade"] + data["final_trade"]) / 1e3
    assert f"(B06) therefore looks far too small: {billion:.1f} billion USD" in data.attrs["limits"]


# Pages ------------------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """Headings as MkDocs turns them into anchors."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.name)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place.name), target


def test_the_picture_is_the_same_everywhere():
    def picture(source: str) -> list[str]:
        lines = source.splitlines()
        top = next(k for k, line in enumerate(lines) if line.strip().startswith("source file ─►"))
        return [re.sub(r"\s+", " ", line.strip()) for line in lines[top : top + 4]]

    for page in {"index.md", "README.md"} & set(NAMES):
        assert picture(text(page)) == picture(dt.__doc__ or ""), page


def test_every_page_is_in_the_menu():
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    pages = [page for entry in menu for page in entry.values()]
    assert pages[0] == "index.md"
    assert sorted(pages) == sorted(path.name for path in DOCS.glob("*.md"))


def test_pages_name_no_place_of_their_makers():
    assert not [page for page in NAMES if re.search(r"/work|/tmp|localhost", text(page))]


def rewrite(path: Path) -> None:
    """Put what is printed now into a page's `text` and `console` blocks."""
    source, made, end = text(path.name), [], 0
    for match, now in executed(path.name):
        made += [source[end : match.start()], f"```{match[1]}\n{now}\n```"]
        end = match.end()
    path.write_text("".join([*made, source[end:]]), "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as elsewhere, contextlib.chdir(elsewhere):  # pages write files too
        for path in PAGES:
            rewrite(path)
