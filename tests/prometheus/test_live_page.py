"""The live page shows label values by the names in core/language.py, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.language import (
    CAUSE_NAMES,
    MODE_NAMES,
    STABILITY_NAMES,
    STATE_NAMES,
    STATUS_NAMES,
    VALIDITY_HEADING,
    VALIDITY_NAMES,
    Text,
)
from grafana.boards.capacity import NOT_REPORTED

PAGE = Path("prometheus/consoles/index.html").read_text(encoding="utf-8")
NAMES = {**STATUS_NAMES, **MODE_NAMES, **STABILITY_NAMES, **VALIDITY_NAMES, **CAUSE_NAMES}


@pytest.mark.parametrize(("value", "name"), NAMES.items())
def test_a_label_value_has_the_shared_name(value: str, name: Text) -> None:
    text = name.es if name.es == name.en else f"{{{{ if .arg0 }}}}{name.en}{{{{ else }}}}{name.es}{{{{ end }}}}"
    assert f'if eq .arg1 "{value.lower()}" }}}}{text}\n' in PAGE


@pytest.mark.parametrize("name", STATE_NAMES.values())
def test_a_count_of_videos_has_the_shared_name_of_its_state(name: Text) -> None:
    assert f'{{{{ template "t" (args $en "{name.es}" "{name.en}") }}}}: ' in PAGE


def test_the_validity_of_a_run_stands_before_its_figures() -> None:
    """The heading is that of the report, the words for unknown are those of the dashboards."""
    row = PAGE[PAGE.index('<tr id="{{ $run }}"') : PAGE.index("{{ else }}\n<tr><td colspan")]
    validity, x = row.index('class="validity"'), row.index("figure")
    heading = f'{{{{ template "t" (args $en "{VALIDITY_HEADING.es}" "{VALIDITY_HEADING.en}") }}}}'
    assert f'<td data-name="{heading}"><span class="validity">' in row
    assert f'(args $en "{NOT_REPORTED.es}" "{NOT_REPORTED.en}")' in row
    assert validity < x
    assert 'aforo_run_validity_info%s)" $of' in PAGE
    assert "tr.invalid .n, tr.invalid .n a { color: var(--soft); }" in PAGE


def test_the_row_without_a_run_is_as_wide_as_the_table() -> None:
    (columns,) = re.findall(r'<td colspan="(\d+)">', PAGE)
    assert PAGE.count("<th>") + PAGE.count('<th class="n">') == int(columns)


def test_the_table_fits_a_screen_of_1280_pixels() -> None:
    """A verdict is the only long text that may wrap. Without that, the id of the run was cut off."""
    assert "td.verdict { white-space: normal; min-width: 130px; }" in PAGE
    assert PAGE.count('class="verdict"') == 1


def test_a_size_is_written_as_in_the_table() -> None:
    assert '{{ reReplaceAll "([0-9])([A-Z])" "$1 $2" .Labels.size }}' in PAGE
