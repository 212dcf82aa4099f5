"""The page of a comparison."""

import re

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.commands.compare import CONDITIONS
from capacity.report.comparison_page import CONDITION_NAMES
from core.errors import EnvironmentFault
from tests.capacity.store import burst, record_bursts


@pytest.fixture
def compare(sessions, environment):
    for number, storage in enumerate(("filesystem", "filesystem", "s3", "s3")):
        row, *times = burst(1, 12, 5.0 + number, 1e9 + 1000 * number, f"r{number}")
        row.environment = {**row.environment, "storage": storage}
        record_bursts(sessions, [(row, *times)])
    return lambda *words: CliRunner().invoke(
        main, ["compare", "r0,r1", "r2,r3", "--lang", "en", *words], env=environment
    )


@pytest.mark.parametrize(
    ("words", "verdict"), [((), "not comparable"), (("--allow", "storage"), "inconclusive: B/A = ")]
)
def test_the_page_has_both_sides_and_what_differs(compare, tmp_path, words, verdict):
    shown = compare("--page", str(tmp_path / "page.html"), *words)
    text = (tmp_path / "page.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert shown.exit_code == 1
    assert f'<section class="answer"><strong>{verdict}' in text
    assert cells_of(text, "run") == [["r0", "r1"], ["r2", "r3"]]
    differ = text[text.index("Conditions that differ") : text.index("Equal conditions")]
    assert differ.count('<th scope="row">') == 1
    assert cells_of(differ, "storage") == [["filesystem"], ["s3"]]
    assert '<th scope="row">slots</th><td>1</td>' in text[text.index("Equal conditions") :]


def test_every_condition_that_can_differ_has_words_in_both_languages():
    assert CONDITION_NAMES.keys() == set(CONDITIONS)


def test_the_spanish_page_names_conditions_in_words_and_no_key_is_left(compare, tmp_path):
    compare("--page", str(tmp_path / "page.html"), "--lang", "es")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert '<th scope="row">almacén de videos</th>' in text
    assert re.findall(r'<th scope="row">(\w*_\w*)</th>', text) == ["X_sat"]


def cells_of(text, name):
    """Return the values of a row of the page, by side and run."""
    (row,) = re.findall(rf'<tr><th scope="row">{re.escape(name)}</th>(.*?)</tr>', text)
    sides = re.findall(r'<td data-name="[AB]"><div>(.*?)</div></td>', row)
    return [re.findall(r"<p>(.*?)</p>", side) for side in sides]


def test_every_figure_has_its_unit_and_interval_as_on_the_page_of_the_report(compare, tmp_path):
    compare("--page", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    interval = r"\[[\d.]+, ([\d.]+|no limit)\]"
    tail = rf"p50 [\d.]+ s \(95 % {interval}\) · p95 [\d.]+ s \(95 % {interval}\)"
    expected = {
        "Validity": '<span class="(good|warn|bad)">.+</span>',
        "X_sat": rf"[\d.]+ videos/min, 95 % {interval}",
        "X": r"[\d.]+ videos/min",
        "data": r"[\d.]+ MB/min",
        "S": r"[\d.]+ s",
        "response time": tail,
        "queue wait": tail,
        "service, mean": r"[\d.]+ s",
        "videos": r"12 done · 0 failed",
        "queue": "—",
    }
    for name, pattern in expected.items():
        values = [value for side in cells_of(text, name) for value in side]
        assert len(values) == 4, name
        assert all(re.fullmatch(pattern, value) for value in values), (name, values)
    assert '<th scope="row">memory</th><td>8 GB</td>' in text


def test_no_table_of_the_page_is_wider_than_a_narrow_screen(compare, tmp_path):
    """Each table is of a kind whose rows the style sheet stacks, and each value of it says of which side it is."""
    compare("--page", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text("utf-8")
    assert set(re.findall(r"<table[^>]*>", text)) == {'<table class="cells sides">', '<table class="facts">'}
    of_sides = text[text.index("<h2>") : text.index('<table class="facts">')]
    assert of_sides.count("<td data-name=") == of_sides.count("<td") - of_sides.count("<thead><tr><td></td>")


def test_a_page_that_cannot_be_written_is_refused_before_the_comparison(compare):
    assert isinstance(compare("--page", "/nope/page.html").exception, EnvironmentFault)
