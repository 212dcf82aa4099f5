"""Grafana's field configuration of a panel: units, limits, names and colours of its values."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from core.language import Language, Text
from grafana.panel import Column, Panel, Query
from grafana.wording import GREY, Word, Words

Override = dashboard.DashboardFieldConfigSourceOverrides
Property = dashboard.DynamicConfigValue

#: Name of the value column of a joined query.
VALUE_OF = "Value #{}"


def in_language(text: Text | str, lang: Language) -> str:
    """Return `text` in `lang`. A plain string is the same in both languages."""
    return text.to(lang) if isinstance(text, Text) else text


def ref_id_of(position: int) -> str:
    """Return Grafana's name of the query at `position`: A for 0, B for 1."""
    return chr(ord("A") + position)


def field_config(panel: Panel, model: dashboard.Panel, lang: Language) -> dashboard.FieldConfigSource:
    """Return the field configuration of `panel`, added to the options in `model`."""
    source = model.field_config or dashboard.FieldConfigSource()
    defaults = source.defaults
    defaults.unit, defaults.decimals = in_language(panel.unit, lang), panel.decimals
    defaults.min_val, defaults.max_val = panel.minimum, panel.maximum
    defaults.no_value = in_language(panel.empty, lang) if panel.empty else None
    defaults.thresholds = _thresholds(panel)
    if panel.value_words:
        defaults.mappings = [_mapping(panel.value_words, lang)]
    if panel.thresholds:
        defaults.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
    elif panel.value_words:  # with thresholds, Grafana's state timeline would show those instead of the words
        defaults.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=GREY)
    source.overrides = [
        *(_named(value, word, lang) for value, word in panel.words.items()),
        *(o for i, query in enumerate(panel.queries) for o in _of_query(ref_id_of(i), query)),
        *(_column(column, lang) for column in panel.columns),
    ]
    return source


def columns(panel: Panel) -> list[tuple[str, Column]]:
    """Return the columns of a table with the field names that Grafana gives them."""
    named, position = [], 0
    for column in panel.columns:
        position += bool(column.expr)
        named.append((column.label or VALUE_OF.format(ref_id_of(position)), column))
    return named


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [dashboard.Threshold(value, color) for value, color in panel.thresholds] or [
        dashboard.Threshold(None, GREY)
    ]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=steps)


def _mapping(words: Words, lang: Language) -> dashboard.ValueMap:
    results = {
        value: dashboard.ValueMappingResult(text=word.text.to(lang), color=word.color, index=index)
        for index, (value, word) in enumerate(words.items())
    }
    return dashboard.ValueMap(options=results)


def _named(value: str, word: Word, lang: Language) -> Override:
    return _override("byName", value, displayName=word.text.to(lang), color=_fixed(word.color))


def _of_query(ref_id: str, query: Query) -> list[Override]:
    overrides = []
    if query.color:
        overrides.append(_override("byFrameRefID", ref_id, color=_fixed(query.color)))
    if query.is_limit:
        dashed = {"fill": "dash", "dash": [10, 10]}
        stacking = {"mode": "none"}
        properties = {"custom.lineStyle": dashed, "custom.fillOpacity": 0, "custom.stacking": stacking}
        overrides.append(_override("byFrameRefID", ref_id, **properties))
    return overrides


def _column(column: Column, lang: Language) -> Override:
    properties: dict[str, object] = {"unit": column.unit}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width:
        properties["custom.width"] = column.width
    if column.words:
        properties["mappings"] = [_mapping(column.words, lang)]
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.link:
        properties["links"] = [{"title": in_language(column.title, lang), "url": column.link}]
    return _override("byName", in_language(column.title, lang), **properties)


def _override(matcher: str, options: str, **properties: object) -> Override:
    return Override(
        matcher=dashboard.MatcherConfig(id_val=matcher, options=options),
        properties=[Property(id_val=name, value=value) for name, value in properties.items()],
    )


def _fixed(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}
