"""The committed document of scenario 2 has the prose that the generator writes now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capacity.analysis.load_and_analyse import analyse_archives
from capacity.report.document import render_document
from capacity.report.template_loader import FOLDER

TEMPLATE = FOLDER / "escenario_2.es.md.j2"
DOCUMENT = Path(__file__).parents[3] / "capacity-planning/escenario_2_worker_throughput.md"
#: parts that Jinja replaces
EXPRESSION = re.compile(r"{{.*?}}|{%.*?%}|{#.*?#}", re.S)


def fixed_lines(template):
    """Return the lines of a template that contain neither an expression nor a statement.

    Fallback texts are left out.
    """
    body = template.read_text("utf-8").split("{%- endmacro %}")[-1]
    return [line for line in body.splitlines() if line.strip() and not EXPRESSION.search(line)]


def test_every_fixed_line_of_the_template_is_in_the_committed_document_in_the_same_order():
    committed = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.strip()]
    fixed = fixed_lines(TEMPLATE)
    assert len(fixed) > 40
    positions = []
    for line in fixed:
        assert line in committed, line
        positions.append(committed.index(line, positions[-1] + 1 if positions else 0))
    assert positions == sorted(positions)


def test_the_archived_runs_beside_the_committed_document_give_it_again_to_the_letter():
    runs = DOCUMENT.parent / "runs"
    if not runs.exists():
        pytest.skip("its runs were measured before archives were kept beside it")
    assert render_document(analyse_archives(runs), "capacity-planning/runs") == DOCUMENT.read_text("utf-8")


def test_the_committed_document_has_one_word_for_a_run():
    assert "corrida" not in DOCUMENT.read_text("utf-8").lower()


def test_the_committed_document_has_no_law_of_fewer_than_four_levels():
    """Only three numbers of slots were measured."""
    text = DOCUMENT.read_text("utf-8")
    assert "hacen falta 4. Cota: X(n) ≤" in text
    assert "σ =" not in text
