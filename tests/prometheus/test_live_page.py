"""The live page shows label values by the names in core/language.py, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.language import CAUSE_NAMES, MODE_NAMES, STABILITY_NAMES, STATE_NAMES, STATUS_NAMES, Text

PAGE = Path("prometheus/consoles/index.html").read_text(encoding="utf-8")
NAMES = {**STATUS_NAMES, **MODE_NAMES, **STABILITY_NAMES, **CAUSE_NAMES}


@pytest.mark.parametrize(("value", "name"), NAMES.items())
def test_a_label_value_has_the_shared_name(value: str, name: Text) -> None:
    text = name.es if name.es == name.en else f"{{{{ if .arg0 }}}}{name.en}{{{{ else }}}}{name.es}{{{{ end }}}}"
    assert f'if eq .arg1 "{value.lower()}" }}}}{text}\n' in PAGE


@pytest.mark.parametrize("name", STATE_NAMES.values())
def test_a_count_of_videos_has_the_shared_name_of_its_state(name: Text) -> None:
    assert f'{{{{ template "t" (args $en "{name.es}" "{name.en}") }}}}: ' in PAGE
