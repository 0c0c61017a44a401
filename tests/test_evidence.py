"""The evidence ledger: what the two readouts assert, what may stand in a file, and how bad files are refused."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detente import labels
from detente.cli_evidence import app
from detente.errors import InputError
from detente.evidence import SHIPPED, VERDICTS, VERIFICATION, Comparison, Ledger, load_ledger, topics

DOCS = Path(__file__).parents[1] / "docs" / "evidence.md"


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return load_ledger()


@pytest.fixture(scope="module")
def readouts(ledger: Ledger) -> Comparison:
    return ledger.compare("us-readout", "ru-readout")


# The two readouts of 15 February 2025 -----------------------------------------------------------------------


def test_barriers_missions_contacts_and_summit_are_asserted_by_the_russian_side_only(readouts: Comparison):
    only_russian = set(readouts.topics("second"))
    assert {
        "sanctions",
        "trade-and-investment",
        "diplomatic-missions",
        "regular-contacts",
        "summit",
    } <= only_russian
    assert readouts.topics("first") == ()


def test_the_american_side_asserts_an_end_of_the_war_and_other_questions_and_no_word_of_sanctions(
    ledger: Ledger, readouts: Comparison
):
    american = ledger.statement("us-readout")
    assert set(american.topics()) == {"ukraine-war", "bilateral-relations", "presidents-call"}
    assert {"sanctions", "trade-and-investment", "energy"} <= set(american.topics("silent"))
    assert {"ukraine-war", "bilateral-relations"} <= set(readouts.topics("both"))


def test_ukraine_is_one_topic_of_several_in_the_russian_text(ledger: Ledger):
    asserted = ledger.statement("ru-readout").topics()
    assert "ukraine-war" in asserted
    assert len(asserted) > 2 * len(ledger.statement("us-readout").topics())


def test_oil_and_gas_are_the_article_s_own_conclusion(ledger: Ledger, readouts: Comparison):
    assert readouts.topics("neither") == ("energy",)
    assert "energy" in ledger.statement("article").topics()


def test_that_barriers_mean_sanctions_is_marked_as_a_reading(ledger: Ledger):
    point = ledger.statement("ru-readout").point("sanctions")
    assert point is not None
    assert point.confidence == "medium"


def test_comparing_the_other_way_round_swaps_the_sides(ledger: Ledger, readouts: Comparison):
    swapped = ledger.compare("ru-readout", "us-readout")
    assert swapped.topics("first") == readouts.topics("second")
    assert swapped.topics("second") == readouts.topics("first")
    assert all(swapped.topics(verdict) == readouts.topics(verdict) for verdict in ("both", "neither", "open"))


def test_a_statement_compared_with_itself_has_no_difference(ledger: Ledger):
    for statement in ledger.statements:
        rows = ledger.compare(statement.id, statement.id).rows
        assert {row.verdict for row in rows} <= {"both", "neither", "denied"}
        assert len(rows) == len(statement.points)


# The rest of the ledger -------------------------------------------------------------------------------------


def test_since_the_article_no_sender_but_the_united_states_has_eased(ledger: Ledger):
    eased = [statement.id for statement in ledger.since("2025-02-22") if "sanctions" in statement.topics()]
    assert eased == ["us-licence-133", "us-licence-134", "us-licence-134-renewed"]
    tightened = {
        statement.side
        for statement in ledger.since("2025-02-22")
        if "sanctions" in statement.topics("denies")
    }
    assert tightened == {"US", "EU", "UK"}


def test_since_takes_the_day_itself_as_text_or_date(ledger: Ledger):
    chosen = ledger.since("2026-03-12")
    assert chosen[0].id == "us-licence-134"
    assert chosen == ledger.since(date(2026, 3, 12))
    assert [statement.date for statement in ledger.statements] == sorted(s.date for s in ledger.statements)
    with pytest.raises(
        InputError, match="`last week` is no date, expected year, month and day as 2025-02-15"
    ):
        ledger.since("last week")


def test_what_bears_on_a_measure(ledger: Ledger):
    assert [statement.id for statement in ledger.bearing_on("EU-P18")] == ["eu-package-18"]
    assert ledger.bearing_on("EU-P99") == ()


def test_every_shipped_statement_says_what_was_seen(ledger: Ledger):
    for statement in ledger.statements:
        assert statement.source.verification in VERIFICATION
        assert statement.source.seen, statement.id
        assert statement.source.url, statement.id
        assert date(2025, 2, 15) <= statement.date <= date(2026, 8, 31)


def test_paraphrases_quote_nobody(ledger: Ledger):
    said = [point.paraphrase for statement in ledger.statements for point in statement.points]
    assert not [text for text in said if re.search(r"[“”„«»\"]|\s'", text)]


def test_every_topic_is_used(ledger: Ledger):
    used = {point.topic for statement in ledger.statements for point in statement.points}
    assert used == {topic.id for topic in topics()}


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("asserts", "asserts", "both"),
        ("asserts", "silent", "first"),
        ("silent", "asserts", "second"),
        ("asserts", "denies", "opposed"),
        ("denies", "asserts", "opposed"),
        ("denies", "denies", "denied"),
        ("denies", "silent", "denied"),
        ("silent", "denies", "denied"),
        ("silent", "silent", "neither"),
        ("asserts", None, "open"),
        (None, "silent", "open"),
    ],
)
def test_verdicts(first: str | None, second: str | None, verdict: str, tmp_path: Path):
    stances = {"one": first, "two": second}
    entries = [
        statement(name, points=[point("summit", stance)] if stance else [point("energy", "asserts")])
        for name, stance in stances.items()
    ]
    (tmp_path / "two.yaml").write_text(json.dumps({"statements": entries}), "utf-8")
    compared = load_ledger(tmp_path).compare("one", "two")
    assert "summit" in compared.topics(verdict)
    assert compared.heading(verdict) in compared.table()


def point(topic: str, stance: str, **more: object) -> dict[str, object]:
    return {"topic": topic, "stance": stance, "paraphrase": "Our words.", "confidence": "high"} | more


def statement(name: str, **more: object) -> dict[str, object]:
    source = {"citation": "A notice", "verification": "verified"}
    entry = {"id": name, "speaker": "Somebody", "side": "other", "occasion": "A speech", "date": "2025-03-01"}
    return entry | {"source": source, "points": [point("summit", "asserts")]} | more


# Bad files --------------------------------------------------------------------------------------------------

GOOD = """\
statements:
  - id: mine
    speaker: Somebody
    side: other
    occasion: A speech
    date: 2025-03-01
    source:
      citation: A notice
      verification: sourced
    points:
      - topic: summit
        stance: asserts
        paraphrase: They are to meet.
        confidence: high
        bears_on: [EU-P01]
"""
MINE, POINT = ", statement `mine`", ", statement `mine`, point 1"
SECOND = "      - {topic: summit, stance: denies, paraphrase: No., confidence: low}\n"


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("topic: summit", "topic: sumit", f"11{POINT}, `topic`", "There is no topic `sumit`. Did you mean `summit`?"),
        ("asserts", "claims", f"12{POINT}, `stance`", "There is no stance `claims`. Known: asserts, denies, silent."),
        ("side: other", "side: UN", f"4{MINE}, `side`", "There is no side `UN`."),
        ("03-01", "02-30", f"6{MINE}, `date`", "`2025-02-30` is no date"),
        ("2025-03-01", "1 March", f"6{MINE}, `date`", "found `'1 March'`, expected a date as 2025-02-15"),
        ("    speaker: Somebody\n", "", f"2{MINE}", "the key `speaker` is missing. Keys here: id, speaker, side"),
        ("speaker:", "speeker:", f"3{MINE}, `speeker`", "There is no key `speeker`. Did you mean `speaker`?"),
        ("      citation: A notice\n", "", f"7{MINE}, `source`", "the key `citation` is missing"),
        ("sourced", "source", f"9{MINE}, `source.verification`", "There is no verification `source`. Did you mean"),
        ("sourced", "sourced\n      url: www.example.org", f"10{MINE}, `source.url`", "found `'www.example.org'`, expe"),
        ("        confidence: high\n", "", f"11{POINT}", "the key `confidence` is missing"),
        ("[EU-P01]", "[package 1]", f"15{POINT}, `bears_on`", "found `'package 1'`, expected a measure or package"),
        ("[EU-P01]", "EU-P01", f"15{POINT}, `bears_on`", "found `'EU-P01'`, expected a list"),
        ("id: mine", "id: My Own", "2, statement `My Own`, `id`", "found `'My Own'`, expected small letters"),
        ("They", "x" * 400, f"13{POINT}, `paraphrase`", "expected between 2 and 400 characters"),
        ("stance: asserts", "stance: silent", f"14{POINT}, `confidence`", "the text is known from reports only"),
        ("        bears_on: [EU-P01]\n", SECOND, "15, statement `mine`, point 2, `topic`", "`summit` has a point already"),
        ("confidence: high", "confidence: high\n        confidence: low", "15", "the key `confidence` stands on line 14"),
        ("[EU-P01]", "[EU-P01", "16", "not valid YAML"),
        (GOOD, "statements:\n  - just text\n", "2, statement 1", "found `'just text'`, expected keys with values"),
        (GOOD, GOOD + GOOD.removeprefix("statements:\n"), f"16{MINE}, `id`", "there is a statement `mine` already"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_place_and_mend(
    old: str, new: str, place: str, message: str, tmp_path: Path
):
    assert old in GOOD
    found = refused(GOOD.replace(old, new), tmp_path)
    assert found.startswith(f"`mine.yaml`, line {place}: ")
    assert message in found


def test_silence_needs_a_text(tmp_path: Path):
    unseen = GOOD.replace("stance: asserts", "stance: silent").replace("sourced", "unverified")
    assert "line 12, statement `mine`, point 1, `stance`: silence can only be found in a text" in refused(
        unseen, tmp_path
    )


def test_an_empty_file_is_refused(tmp_path: Path):
    assert (
        refused("", tmp_path)
        == "`mine.yaml`: found nothing, expected keys with values, as in `name: my-scenario`."
    )


def refused(text: str, folder: Path) -> str:
    (folder / "mine.yaml").write_text(text, "utf-8")
    with pytest.raises(InputError) as refusal:
        load_ledger(folder)
    return str(refusal.value)


def test_the_good_file_of_these_tests_is_one(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(GOOD, "utf-8")
    loaded = load_ledger(tmp_path).statement("mine")
    assert loaded.date == date(2025, 3, 1)
    assert loaded.points[0].bears_on == ("EU-P01",)


def test_a_folder_without_files_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a folder with `\.yaml` files"):
        load_ledger(tmp_path)


def test_an_unknown_statement_is_refused_with_the_nearest(ledger: Ledger):
    with pytest.raises(InputError, match=r"There is no statement `us-readouts`. Did you mean `us-readout`"):
        ledger.compare("us-readouts", "ru-readout")
    with pytest.raises(InputError, match=r"There is no verdict `booth`. Did you mean `both`"):
        ledger.compare("us-readout", "ru-readout").topics("booth")


# Commands ---------------------------------------------------------------------------------------------------


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_compare_prints_the_table_the_paraphrases_and_the_sources(readouts: Comparison):
    shown = printed("compare", "us-readout", "ru-readout")
    assert shown.startswith(readouts.table())
    assert "Only ru-readout asserts\n" in shown
    assert "Middle East and other regions" in shown
    assert "us-readout (2025-02-15), verified:" in shown
    assert max(map(len, re.sub(r"\S*https?://\S+", "", shown).splitlines())) <= 110


def test_show_prints_every_point_and_the_source(ledger: Ledger):
    for known in ledger.statements:
        shown = " ".join(printed("show", known.id).split())
        assert known.source.citation in shown
        assert all(point.paraphrase in shown for point in known.points)
        assert all(measure in shown for point in known.points for measure in point.bears_on)


def test_list_prints_one_line_a_statement(ledger: Ledger):
    shown = printed("list")
    assert all(re.search(rf"^{s.date}  .*\b{s.id}\b", shown, re.MULTILINE) for s in ledger.statements)
    assert "us-readout" not in printed("list", "--since", "2025-02-16")
    assert re.findall(r"^\d{4}-\d\d-\d\d", printed("list", "--measure", "EU-P18"), re.MULTILINE) == [
        "2025-07-18"
    ]
    refused = CliRunner().invoke(app, ["list", "--since", "2099-01-01"])
    assert isinstance(refused.exception, InputError)


# Documentation ----------------------------------------------------------------------------------------------


def test_the_page_names_every_key_choice_topic_and_verdict():
    def names(node: object):
        if isinstance(node, dict):
            yield from node.get("properties", {})
            yield from node.get("enum", [])
            for value in node.values():
                yield from names(value)

    page = DOCS.read_text("utf-8")
    schema = json.loads((labels.DATA / "evidence.schema.json").read_text("utf-8"))
    wanted = set(names(schema)) | set(VERDICTS) | {topic.id for topic in topics()}
    example = "".join(re.findall(r"^```yml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    marked = {word for span in re.findall(r"`([^`\n]+)`", page) for word in re.findall(r"[\w-]+", span)}
    missing = {word for word in wanted if word not in marked and not re.search(rf"\b{word}:", example)}
    assert missing == set()


def test_the_example_of_the_page_loads(tmp_path: Path):
    example = re.findall(r"^```yml\n(.*?)^```$", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(example) == 1
    (tmp_path / "example.yaml").write_text(example[0], "utf-8")
    assert load_ledger(tmp_path).statement("my-statement").topics("silent") == ("sanctions",)


def test_the_table_of_topics_on_the_page_is_the_list():
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.+) \|$", DOCS.read_text("utf-8").split("## Topics")[1], re.MULTILINE
    )
    assert rows == [(topic.id, topic.proposition) for topic in topics()]


def test_the_shipped_folder_is_read():
    assert {path.name for path in SHIPPED.glob("*.yaml")} >= {"call-2025-02-15.yaml", "since-europe.yaml"}
