"""The page of a comparison."""

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
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
    assert '<tr><th scope="row">run</th><td>r0<br>r1</td><td>r2<br>r3</td></tr>' in text
    differ = text[text.index("Conditions that differ") : text.index("Equal conditions")]
    assert differ.count('<th scope="row">') == 1
    assert '<th scope="row">storage</th><td>filesystem</td><td>s3</td>' in differ
    assert '<th scope="row">slots</th><td>1</td>' in text[text.index("Equal conditions") :]


def test_a_page_that_cannot_be_written_is_refused_before_the_comparison(compare):
    assert isinstance(compare("--page", "/nope/page.html").exception, EnvironmentFault)
