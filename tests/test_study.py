"""A study: rules give verdicts from ranges, never from text; the page is whole, offline, and says what is missing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from detente import labels, yaml_file
from detente import study as study_module
from detente.bench import Bench
from detente.catalogue import load_catalogue
from detente.errors import InputError
from detente.evidence import load_ledger
from detente.quantity import Quantity, Setting
from detente.study import OPEN, REFUTED, SHIPPED, SUPPORTED, Bound, Claim, Panel, Study, run_study
from detente.study_page import bars, page, write_study
from detente.world import World

ROOT = Path(__file__).parents[1]
FILE = SHIPPED / "us-russia-2025.yaml"
CONTENT: Any = yaml_file.parse(FILE.read_text("utf-8"), FILE.name, dates_as_text=True)[0]
CLAIMS = [f"C{k}" for k in range(1, 19)]
MISSING: set[str] = set()  # claims that need a part which the model does not have


@pytest.fixture(scope="module")
def done() -> Study:
    return run_study("us-russia-2025")


@pytest.fixture(scope="module")
def html(done: Study) -> str:
    return page(done)


def quantity(*values: float, unit: str = "%") -> Quantity:
    return Quantity("q", "Label", unit, {f"setting {k}": value for k, value in enumerate(values)})


def claim(*tests: Bound, needs: str = "") -> Claim:
    return Claim("C1", "someone", "A claim.", "A quantity.", tests, needs)


# Rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "side", "state", "verdict"),
    [
        ((1.0, 2.0), "above", "holds", SUPPORTED),
        ((-2.0, -1.0), "above", "fails", REFUTED),
        ((-1.0, 2.0), "above", "open", OPEN),
        ((-2.0, -1.0), "below", "holds", SUPPORTED),
        ((1.0, 2.0), "below", "fails", REFUTED),
        ((0.0, 0.0), "above", "fails", REFUTED),
    ],
)
def test_the_verdict_follows_the_whole_range(values, side, state, verdict):
    test = Bound(quantity(*values), side, 0.0)
    assert test.state == state
    assert claim(test).verdict == verdict


def test_one_failing_test_outweighs_the_others_and_a_missing_block_outweighs_all():
    holds, fails, unclear = (Bound(quantity(*v), "above", 0.0) for v in ((1, 2), (-2, -1), (-1, 1)))
    assert claim(holds, unclear).verdict == OPEN
    assert claim(holds, unclear, fails).verdict == REFUTED
    missing = claim(holds, needs="a market")
    assert missing.verdict == OPEN
    assert missing.why == ["Needs a market."]


def test_the_reason_states_range_threshold_and_how_often():
    told = Bound(quantity(-0.0037, 0.0028), "below", -0.01).finding
    assert "−0.0037 to +0.0028" in told
    assert "below −0.01" in told
    assert "at none of 2 settings" in told


def test_a_range_keeps_digits_until_its_ends_differ():
    assert quantity(0.0221, 0.0265).text == "+0.022 to +0.026\u00a0%"
    assert quantity(0.02251, 0.02274).text == "+0.0225 to +0.0227\u00a0%"
    assert quantity(0.02251, 0.02254).text == "+0.0225\u00a0% at every setting"


def test_a_bound_that_is_tested_is_drawn_in_its_place():
    panel = Panel("", (quantity(-0.004, -0.002),))
    (bar,) = bars(panel, [Bound(panel.quantities[0], "below", -0.01)])
    (bound,) = bar.bounds
    assert bound < bar.left
    assert (bound - bar.zero) / (bar.left - bar.zero) == pytest.approx(0.01 / 0.004, rel=1e-2)  # two decimals
    assert not bars(panel)[0].bounds


def test_bars_hold_zero_and_stay_on_the_track():
    for values in ((1.0, 2.0), (-2.0, -1.0), (-1.0, 1.0)):
        (bar,) = bars(Panel("", (quantity(*values),)))
        assert 0 <= bar.left <= bar.left + bar.width <= 100.5
        assert all(0 <= dot <= 100 for dot in bar.dots)
        assert 0 <= bar.zero <= 100


# The shipped study ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_claim_has_a_row(done: Study):
    assert [one.id for one in done.claims] == CLAIMS
    assert {one.id for one in done.claims if one.needs} == MISSING
    assert all(one.claim and one.by and one.decides for one in done.claims)


@pytest.mark.slow
def test_every_modelled_result_is_a_range_over_two_sets_and_two_closures(done: Study):
    for one in done.claims:
        for found in one.quantities():
            if found.modelled:
                settings = [key.split(", ") for key in found.values]
                assert {s[0] for s in settings} == {"caliendo-parro-2015", "uniform-4"}, found.key
                assert {s[1] for s in settings} == {"share-of-world", "balanced"}, found.key
                assert found.low < found.high, found.key
    assert done.provenance["converged"]


@pytest.mark.slow
def test_signs_that_theory_and_accounts_demand(done: Study):
    """A coalition's sanctions cost target and senders; lifting helps who lifts; ratios are those of their parts."""
    found = {q.key: q for one in done.claims for q in one.quantities()}
    assert found["rus-cost"].high < 0
    assert found["senders-cost"].high < 0
    assert found["usa-us-relief"].low > 0
    assert found["rus-us-relief"].low > 0
    for setting, ratio in found["cost-ratio"].values.items():
        parts = found["rus-cost"].values[setting] / found["senders-cost"].values[setting]
        assert ratio == pytest.approx(parts, rel=1e-12)  # the same two numbers divided
    for setting, part in found["executive-part"].values.items():
        parts = found["rus-executive"].values[setting] / found["rus-all-us"].values[setting]
        assert part == pytest.approx(100 * parts, rel=1e-9)  # worth and percent share the income before
    pull = found["eu-pull"]
    for setting, value in pull.values.items():
        after, before = found["eu-follows"].values[setting], found["eu-alone"].values[setting]
        assert value == pytest.approx(100 * (after / before - 1), rel=1e-9)


@pytest.mark.slow
def test_cost_a_head_is_worth_over_residents(done: Study):
    """A dollar a head is the same money divided; every sender of the catalogue has its row."""
    found = {q.key: q for one in done.claims for q in one.quantities()}
    people = labels.population()
    senders = sum(people[code] for code in labels.country_groups()["coalition"])
    for head, money, residents in (
        ("rus-cost-head", "rus-cost-usd", people["RUS"]),
        ("senders-cost-head", "senders-cost-usd", senders),
    ):
        for setting, value in found[head].values.items():
            assert value == pytest.approx(1e9 * found[money].values[setting] / residents, rel=1e-12)
    parties = {
        q["party"]
        for key, q in CONTENT["quantities"].items()
        if q["kind"] == "worth-per-head" and "head" in key
    }
    assert {m.sender for m in load_catalogue() if m.sender != "RUS"} <= parties
    assert set(World.load().countries) <= people.keys()
    assert people["DEU"] == 84_012_000


@pytest.mark.slow
def test_the_first_wave_is_every_measure_that_the_senders_imposed_before_2022(done: Study):
    kept = {s["keep"]["id"] for s in CONTENT["scenarios"]["first-wave"]["measures"] if "keep" in s}
    before = {
        m.id
        for m in load_catalogue().on("2025-02-17")
        if m.reading and m.sender != "RUS" and str(m.adopted) < "2022-02-01"
    }
    assert kept == before
    found = {q.key: q for one in done.claims for q in one.quantities()}
    for who in ("rus", "senders"):
        first, second, all_of = (found[f"{k}-{who}" if k else f"{who}-cost"] for k in ("first", "second", ""))
        assert first.high < 0
        for setting in first.values:  # changes of real income compound
            both = (1 + first.values[setting] / 100) * (1 + second.values[setting] / 100)
            near = 1e-9 if who == "rus" else 1e-6  # weights of a group's members move with their incomes
            assert both == pytest.approx(1 + all_of.values[setting] / 100, rel=near)


@pytest.mark.slow
def test_what_has_happened_since_stands_in_the_ledger_and_came_after(done: Study):
    ledger = load_ledger()
    told = [since for one in done.claims for since in one.since]
    assert told
    for since in told:
        assert since.statement == ledger.statement(since.statement.id)
        assert str(since.statement.date) > "2025-02-17"
        assert since.statement.source.citation


@pytest.mark.slow
def test_json_says_the_same(done: Study):
    plain = json.loads(json.dumps(done.to_json(), allow_nan=False))
    assert sum(plain["verdicts"].values()) == len(CLAIMS)
    for row, one in zip(plain["claims"], done.claims, strict=True):
        assert row["verdict"] == one.verdict
        for found in row["quantities"].values():
            assert found["low"] == min(found["values"].values())


def keys(content: Any, path: str = "") -> set[str]:
    """Every key of the JSON at any depth; those that are names of the study are left out."""
    if isinstance(content, list):
        return {key for entry in content for key in keys(entry, path)}
    if not isinstance(content, dict):
        return set()
    named = path in ("quantities", "values", "situations", "verdicts", "elasticities", "data", "grids")
    found = set() if named else set(content)
    return found | {key for name, entry in content.items() for key in keys(entry, "" if named else name)}


@pytest.mark.slow
def test_every_key_of_the_json_is_documented(done: Study):
    known = set(re.findall(r"`([\w-]+)`", (ROOT / "docs" / "study.md").read_text("utf-8")))
    assert keys(done.to_json()) <= known, keys(done.to_json()) - known


# The page ---------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.names.add(tag)
        self.ids += [str(told["id"])] if "id" in told else []
        self.links += [str(told["href"])] if tag == "a" and "href" in told else []
        self.fetched += [str(told[key]) for key in ("src", "srcset", "data") if key in told]


@pytest.mark.slow
def test_the_page_is_whole_and_fetches_nothing(html: str, done: Study):
    tags = Tags()
    tags.feed(html)
    assert len(tags.ids) == len(set(tags.ids))
    assert {*CLAIMS, "summary", "answer"} <= set(tags.ids)
    assert {link[1:] for link in tags.links if link.startswith("#")} <= set(tags.ids)
    assert not tags.fetched
    assert not {"script", "link", "iframe", "img"} & tags.names
    assert "url(" not in html
    assert "@import" not in html
    for one in done.claims:
        assert html.count(f'href="#{one.id}"') == 2, one.id
    assert not re.search(r"\bnan\b|None|undefined|Markup", html)


@pytest.mark.slow
def test_the_page_says_what_is_missing_and_gives_every_range(html: str, done: Study):
    plain = re.sub(r"<[^>]+>", "", html).replace("&#39;", "'")
    for one in done.claims:
        assert one.verdict in plain
        if one.needs:
            assert f"Needs {one.needs}" in plain
        for panel in one.panels:
            for found in panel.quantities:
                assert found.text in plain, found.key


@pytest.mark.slow
def test_files_appear_complete_or_not_at_all(done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = write_study(done, tmp_path / "new" / "folder")
    assert [path.name for path in paths.values()] == ["study.json", "study.html"]
    assert json.loads(paths["study.json"].read_text("utf-8"))["name"] == "us-russia-2025"
    assert sorted(path.name for path in paths["study.html"].parent.iterdir()) == ["study.html", "study.json"]
    monkeypatch.setattr("detente.study_page.page", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_study(done, tmp_path / "none")
    assert not (tmp_path / "none").exists()


# Mistakes ---------------------------------------------------------------------------------------------------


def changed(tmp_path: Path, **new: object) -> Path:
    """A study of one claim with parts of it replaced."""
    content = {
        key: CONTENT[key] for key in ("name", "title", "deck", "about", "is_not", "article", "settings")
    }
    content |= {"quantities": {"ended": CONTENT["quantities"]["us-ended"]}}
    test = {"quantity": "ended", "above": 50}
    content["claims"] = [{"id": "C1", "by": "me", "claim": "c", "decides": "d", "tests": [test], "since": []}]
    content["claims"][0] |= {key: value for key, value in new.items() if key not in content}
    content |= {key: value for key, value in new.items() if key in content}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return path


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"tests": [{"quantity": "endde", "above": 1}]}, "did you mean `ended`"),
        ({"tests": [{"quantity": "ended"}]}, "expected a quantity with one threshold"),
        (
            {"tests": [{"quantity": "ended", "above": 1, "below": 2}]},
            "expected a quantity with one threshold",
        ),
        ({"needs": "more"}, "either `tests`"),
        ({"verdict": "supported"}, "`verdict`"),
        ({"since": [{"statement": "eu-gas", "topic": "summit"}]}, "no point on `summit`"),
        ({"since": [{"statement": "eu-gass", "topic": "energy"}]}, "did you mean `eu-gas`"),
        ({"settings": {**CONTENT["settings"], "closures": ["balanced"]}}, "at least two closures"),
        (
            {"quantities": {"ended": {"kind": "mesures", "unit": "%", "label": "x"}}},
            "did you mean `measures`",
        ),
        (
            {"quantities": {"ended": {"kind": "measures", "unit": "%", "label": "x"}}},
            "key `sender` is missing",
        ),
        (
            {"quantities": {"ended": {**CONTENT["quantities"]["us-ended"], "rulse": []}}},
            "did you mean `rules`",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, new: dict[str, object], told: str):
    with pytest.raises(InputError) as problem:
        run_study(changed(tmp_path, **new))
    assert told.casefold() in str(problem.value).casefold()


def test_an_unknown_study_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean `us-russia-2025`"):
        run_study("us-rusia-2025")
    assert study_module.available() == ["us-russia-2025"]


@pytest.mark.slow
def test_ranges_cover_both_ends_of_the_sizes(done: Study):
    """Every modelled quantity stands at all three positions, and the largest measures cost the target most."""
    found = {q.key: q for one in done.claims for q in one.quantities()}
    assert {setting.cuts for setting in done.settings} == {"low", "central", "high"}
    cost = found["rus-cost"].values
    for setting in (s for s in done.settings if s.cuts == "central"):
        low, high = (cost[str(setting._replace(cuts=cuts))] for cuts in ("low", "high"))
        assert low > cost[str(setting)] >= high
    settings = [str(s) for s in done.settings if s.reading == "measure by measure"]
    assert set(found["first-rus"].values) == set(settings)


def test_a_study_ranges_over_horizons():
    settings = [Setting("uniform-4", "balanced", "law", horizon=name) for name in ("long", "short")]
    bench = Bench(settings, {"law": {}}, {}, world=World.load("tiny"))
    entry = {
        "label": "Russia",
        "unit": "%",
        "kind": "real-income",
        "scenario": "embargo",
        "against": "baseline",
        "party": "RUS",
    }
    values = bench.quantity("rus", entry).values
    assert list(values) == ["uniform-4, balanced, law", "uniform-4, balanced, law, horizon short"]
    assert len(set(values.values())) == 2


def test_settings_read_as_words():
    assert str(Setting("a", "b", "c", "low", "short")) == "a, b, c, sizes at their low end, horizon short"
    assert str(Setting("a", "b", "c", "low")) == "a, b, c, sizes at their low end"
    assert str(Setting("uniform-4", "balanced", "law")) == "uniform-4, balanced, law"
