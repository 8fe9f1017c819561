"""The report as a page: it fetches and runs nothing, tells who can't see, and ends as it should."""

from __future__ import annotations

import html
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from atp import report
from atp.report import charts, colours, page
from sale_history import Recording, reserved, stock, write_journal

EVIL = 'HOT"><script>alert(1)</script>'
SVG = "{http://www.w3.org/2000/svg}"


def make_sale(folder: Path, sku: str = "TEA") -> tuple[Path, Path]:
    """A history and a data directory of a short sale with a fault and a cap at work."""
    recording = Recording(folder / "history", profile=sku)
    for number in range(40):
        recording.reserve(number * 50, 2, "GRANTED", sku=sku)
    recording.reserve(500, 3, "CAP_REACHED", sku=sku, cap=f"cap {sku}")
    recording.reserve(600, None, "GRANTED", sku=sku)
    recording.at(700).writer.note("kill", f"{sku} is killed")
    recording.at(900).writer.note("start")
    recording.writer.close()
    begun = report.make(folder / "history", None, None)._sale.begun[0]
    wall_ns = begun.wall_time_ns
    write_journal(
        folder / "data", wall_ns, (0, stock(sku, 500, 500)), (100, reserved(1, **{sku: 40}))
    )
    return folder / "history", folder / "data"


def drawings(text: str) -> list[ElementTree.Element]:
    """The charts of a page."""
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> report.Report:
    history, data = make_sale(tmp_path_factory.mktemp("sale"), EVIL)
    return report.make(history, data, None)


@pytest.fixture(scope="module")
def text(made: report.Report) -> str:
    return made.as_html()


def test_the_page_fetches_nothing_and_runs_nothing(text: str) -> None:
    bare = re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]*"', "", text)
    for word in ("http:", "https:", "src=", "@import", "<script", "<link", "<iframe", "<img"):
        assert word not in bare, word
    assert set(re.findall(r'href="([^"]*)', text)) == set(re.findall(r'href="(#\w+)"', text))
    assert not re.search(r"\son\w+=", bare), "no handlers"
    assert set(re.findall(r"url\(([^)]*)\)", text)) == set(re.findall(r"url\((#\w+)\)", text))


def test_a_phone_shows_it_and_dark_is_dark(text: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "@media(prefers-color-scheme:dark)" in text
    for drawing in drawings(text):
        assert "viewBox" in drawing.attrib
        assert not {"width", "height"} & set(drawing.attrib), "as wide as there is room"
    for name in re.findall(r"var\(--(\w+)\)", text):
        assert name in colours.PALETTE
    found = re.findall(r"#[0-9a-f]{6}\b", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))
    assert set(found) <= {"#000000"}, "colours of charts are those of the style"


def test_every_chart_is_described_for_those_who_do_not_see_it(text: str) -> None:
    shown = drawings(text)
    titles = [drawing.findtext(f"{SVG}title") or drawing.findtext("title") for drawing in shown]
    assert titles == [
        "Reserves: offered, granted, refused",
        "Latency of checkouts",
        charts.CALLS_TITLE,
        "Caps at work",
        f"Stock of {EVIL}",
    ]
    for drawing in shown:
        assert drawing.get("role") == "img"
        assert len(drawing.get("aria-label") or "") > 40


def test_drawings_of_one_page_share_no_names(text: str) -> None:
    names: list[str] = []
    for drawing in drawings(text):
        names += {node.get("id", "") for node in drawing.iter() if node.get("id")}
    clips = set(re.findall(r"url\(#(\w+)\)", text))
    assert clips <= set(names)
    assert len(clips) == len([name for name in names if name in clips]), "each clip is its own"


def test_the_fault_is_on_every_chart(text: str) -> None:
    for drawing in drawings(text):
        assert "kill" in " ".join(drawing.itertext())


def test_what_comes_from_outside_is_escaped(text: str) -> None:
    assert EVIL not in text
    assert html.escape(EVIL) in text


def test_a_violation_is_shown_with_its_slice(made: report.Report) -> None:
    finding = {"name": "oversell", "text": "TEA < 0", "slice": ["1 reserve", "2 <reserve>"]}
    verdict = {"ok": False, "findings": [finding] * 25, "figures": {"commands": 42}, "notes": []}
    shown = page.html_of({**made.figures, "verdict": verdict}, [])
    assert "Violated" in shown
    assert "2 &lt;reserve&gt;" in shown
    assert "And 5 more." in shown
    clean = page.html_of({**made.figures, "verdict": {"ok": True, "findings": []}}, [])
    assert "Clean: every answer was true." in clean
    assert "Not audited" in page.html_of(made.figures, [])


def test_the_picture_stands_by_itself(made: report.Report) -> None:
    picture = ElementTree.fromstring(made.as_picture())
    assert picture.tag == f"{SVG}svg"
    assert "prefers-color-scheme" in (picture.findtext(f"{SVG}style") or "")
    assert any("Latency of checkouts" in (node.text or "") for node in picture.iter())
