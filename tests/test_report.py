"""The report: one file that fetches nothing, holds all sections, and appears complete or not at all."""

import csv
import html.parser
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from detente import charts, drawing, labels, report, wording
from detente.errors import InputError
from tests.synthetic import SyntheticOutcome

SECTIONS = ["answer", "scenario", "map", "parties", "split", "trade", "energy", "countries"]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_SECONDS = 90  # a cold start on a loaded machine


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return report.write_report(SyntheticOutcome(), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(written):
    return written["report.html"].read_text(encoding="utf-8")


class Reader(html.parser.HTMLParser):
    """Collects tags; a void-free check that elements are closed in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader.tags


def test_the_page_is_one_file_and_fetches_nothing(page):
    tags = read(page)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _ in tags}
    assert not [attrs for _, attrs in tags if "src" in attrs]
    outside = [attrs["href"] for tag, attrs in tags if tag != "a" and "href" in attrs]
    assert all(address.startswith("#") for address in outside)
    assert not re.search(r"@import|url\((?!['\"]?#)", page)


def test_the_page_has_all_sections_language_and_described_charts(page):
    tags = read(page)
    assert dict(tags)["html"] == {"lang": "en"}
    assert [attrs["id"] for tag, attrs in tags if tag == "section"] == SECTIONS
    described = [attrs["aria-label"] for tag, attrs in tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(described) == 5
    assert all(len(text) > 40 for text in described)
    limits = SyntheticOutcome().provenance["data"]["limits"]
    for needed in ("caliendo-parro-2015", "share-of-world", "3.2e-12", "reached", "OECD", *limits):
        assert needed in page


def test_ids_are_unique_and_every_reference_has_its_id(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(['\"]?#([^)'\"]+)", page)) <= set(ids)


def test_links_beside_the_page_lead_to_files(written, page):
    folder = written["report.html"].parent
    links = [attrs["href"] for tag, attrs in read(page) if tag == "a"]
    assert links
    assert all((folder / link).is_file() for link in links)
    assert all(path.stat().st_size > 0 for path in written.values())
    pngs = [path for path in written.values() if path.suffix == ".png"]
    assert len(pngs) == 5
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pngs)


def test_the_table_and_the_csv_hold_every_country(written, page):
    outcome = SyntheticOutcome()
    with written["countries.csv"].open(encoding="utf-8", newline="") as stream:
        rows = {row["country"]: row for row in csv.DictReader(stream)}
    assert set(rows) == set(outcome.countries)
    assert float(rows["RUS"]["real_income_percent"]) == float(outcome.data["real_income"].sel(country="RUS"))
    assert all(f'<th scope="row">{labels.country_name(code)}</th>' in page for code in ("RUS", "CHN", "TUR"))


def test_the_split_is_there_or_says_why_not(written, page, tmp_path):
    with written["welfare_split.csv"].open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["country"] == "RUS"]
    assert sum(float(row["real_income_percent"]) for row in rows) == pytest.approx(0.4138)
    assert "Terms of trade" in page
    outcome = SyntheticOutcome()

    def refuse():
        raise InputError("There is no part for this.")

    outcome.welfare_split = refuse
    paths = report.write_report(outcome, tmp_path)
    assert "welfare_split.csv" not in paths
    assert "taken apart. There is no part for this." in paths["report.html"].read_text(encoding="utf-8")


def test_everything_from_outside_is_escaped(tmp_path):
    evil = '<script>alert("1")</script> & "x"'
    outcome = SyntheticOutcome(
        title=evil, scenario=evil, against=evil, sentences=[evil], sentences_against=[evil]
    )
    outcome.provenance["data"] |= {"limits": [evil], "title": evil, "source": evil}
    outcome.provenance["elasticities"] = {"name": evil, "source": evil}
    paths = report.write_report(outcome, tmp_path)
    tags = read(paths["report.html"].read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in tags}
    framed = paths["charts/real_income_map.svg"].read_text(encoding="utf-8")
    assert "<script" not in framed
    read(framed)


def test_words_follow_the_numbers():
    outcome = SyntheticOutcome()
    lines = wording.answer(outcome, "RUS", {"A": ["RUS"], "B": ["USA", "EU27"]})
    nbsp = "\N{NO-BREAK SPACE}"
    assert f"Russia gains 0.41{nbsp}% in real income" in lines[0]
    assert lines[1].startswith(f"The United States gains 0.0021{nbsp}%")
    down = wording.answer(SyntheticOutcome(size=-1.0), "RUS", {"A": ["RUS"]})
    assert f"Russia loses 0.41{nbsp}%" in down[0]
    still = wording.answer(SyntheticOutcome(size=0.0), "RUS", {"A": ["RUS"]})
    assert "no change large enough to print" in still[0]
    change = outcome.data["real_income"].values
    counted = re.search(r"(\d+) gain and (\d+) lose", " ".join(lines))
    assert counted is not None
    assert [int(counted[1]), int(counted[2])] == [int((change >= 5e-5).sum()), int((change <= -5e-5).sum())]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (8.14, "USD 8.1 billion"),
        (-0.0042, "USD 4.2 million"),
        (0.99951, "USD 1.0 billion"),
        (1e-9, "less than USD 0.1 million"),
    ],
)
def test_money_in_words(amount, text):
    assert wording.money(amount) == text


def test_an_unsolved_outcome_says_so_first(tmp_path):
    paths = report.write_report(SyntheticOutcome(converged=False, residual=0.2), tmp_path)
    page = paths["report.html"].read_text(encoding="utf-8")
    assert "must not be used as results" in page
    assert page.index("must not be used") < page.index("In brief")


def test_a_world_without_russia_energy_or_provenance_is_reported(tmp_path):
    outcome = SyntheticOutcome(["AAA", "BBB", "CCC"], focus="AAA", money="money")
    outcome.provenance["data"] = {}
    outcome.data = outcome.data.assign_coords(sector=["s1", "s2", "s3", "s4"])
    page = report.write_report(outcome, tmp_path)["report.html"].read_text(encoding="utf-8")
    assert "do not hold crude oil" in page
    assert "shares given by the user" in page
    assert "USD" not in page


def test_figures_that_are_not_numbers_do_not_reach_a_chart(tmp_path):
    outcome = SyntheticOutcome()
    outcome.data["real_income"].loc["CHN"] = np.nan
    page = report.write_report(outcome, tmp_path)["report.html"].read_text(encoding="utf-8")
    assert "NaN" not in page
    assert "n/a" in page


def test_a_failure_leaves_no_half_report(tmp_path, monkeypatch):
    def fail(_):
        raise RuntimeError("drawing failed")

    monkeypatch.setattr(report.charts, "bare", fail)
    with pytest.raises(RuntimeError, match="drawing failed"):
        report.write_report(SyntheticOutcome(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_pngs_are_made_where_no_second_process_can_be_started(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing.sys, "executable", str(tmp_path / "no-such-program"))
    svg = tmp_path / "one.svg"
    svg.write_text(drawing.to_svg({"$schema": charts.SCHEMA, "data": {"values": []}, "mark": "bar"}))
    with drawing.PngWriter() as pngs:
        pngs.add(svg)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_real_browser_shows_it_on_a_phone_without_overflow_or_errors(page, tmp_path):
    encoded = "".join(f"%{byte:02x}" for byte in page.encode())
    script = (
        "f.onload = () => { const page = f.contentDocument, root = page.documentElement;"
        "const drawn = [...page.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width);"
        "const found = [root.scrollWidth, root.clientWidth, drawn.length, Math.max(...drawn)];"
        "document.title = 'widths ' + found.join(' ') };"
        f"f.srcdoc = decodeURIComponent('{encoded}')"
    )
    frame_tag = "<iframe id=f style='width:390px;height:800px;border:0'></iframe>"
    framed = f"<!doctype html><meta charset=utf-8>{frame_tag}<script>{script}</script>"
    frame = tmp_path / "frame.html"
    frame.write_text(framed, encoding="utf-8")
    quiet = ("gpu", "quic", "sync", "background-networking", "component-update")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--no-first-run",
        *(f"--disable-{name}" for name in quiet),
    ]
    command += [
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--log-level=0",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command += ["--virtual-time-budget=4000", "--dump-dom", frame.as_uri()]
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_SECONDS, env=home)
    assert "CONSOLE" not in done.stderr
    found = re.search(r"<title>widths (\d+) (\d+) (\d+) ([\d.]+)", done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert int(found[1]) <= int(found[2]) == 390
    assert int(found[3]) == 5
    assert float(found[4]) <= 390
