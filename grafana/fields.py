"""Field configuration of a panel in Grafana's JSON: units, limits, names and colours of its values."""

from __future__ import annotations

import re

from grafana_foundation_sdk.models import dashboard

from core.language import Language, Text
from grafana.panel import Column, Kind, Panel, Query, Thresholds
from grafana.wording import GREY, Word, Words

Override = dashboard.DashboardFieldConfigSourceOverrides
Property = dashboard.DynamicConfigValue
Mapping = dashboard.ValueMap | dashboard.RegexMap | dashboard.SpecialValueMap

#: Name of the value column of a joined query.
VALUE_OF = "Value #{}"
#: Grafana's colour of text, which is readable in the dark and in the light theme.
TEXT_COLOR = "text"
#: A legend that is the value of one label.
ONE_LABEL = re.compile(r"\{\{(\w+)\}\}")
#: Kinds whose background or bar takes the colour of the lowest threshold when there is no value.
COLOURED = frozenset({Kind.STAT, Kind.BARS})


def in_language(text: Text | str, lang: Language) -> str:
    """Return a text in the language `lang`. A plain string is the same in all languages."""
    return text.to(lang) if isinstance(text, Text) else text


def ref_id_of(position: int) -> str:
    """Return the letter by which Grafana names a panel's query: A for position 0, B for 1."""
    return chr(ord("A") + position)


def field_config(panel: Panel, model: dashboard.Panel, lang: Language) -> dashboard.FieldConfigSource:
    """Return Grafana's field configuration of a panel: units, limits, names and colours of its values.

    `model` is the same panel in Grafana's format. Options that this function does not set are taken from `model`.
    """
    source = model.field_config or dashboard.FieldConfigSource()
    defaults = source.defaults
    defaults.unit, defaults.decimals = "none" if isinstance(panel.unit, Text) else panel.unit, panel.decimals
    defaults.min_val, defaults.max_val = panel.minimum, panel.maximum
    defaults.no_value = panel.empty.to(lang)
    defaults.thresholds = _thresholds(panel.thresholds)
    defaults.mappings = [
        *_mappings(panel.value_words, lang),
        *([_unknown(panel, lang)] if panel.kind in COLOURED else []),
    ]
    defaults.display_name = _label_as_name(panel)
    defaults.color = _color(panel)
    source.overrides = [
        *(_named_bar(ref_id_of(i), query, lang) for i, query in enumerate(panel.queries) if _has_several_bars(panel)),
        *(_named(value, word, lang) for value, word in panel.words.items()),
        *(o for i, query in enumerate(panel.queries) for o in _of_query(ref_id_of(i), query)),
        *(_column(column, lang) for column in panel.columns),
    ]
    if panel.kind is Kind.CHART:  # the categories are texts, and Grafana would write the unit of the values behind them
        source.overrides.append(_override("byType", "string", unit="string"))
    return source


def columns(panel: Panel) -> list[tuple[str, Column]]:
    """Return each column of a table panel with the name that Grafana gives it, as pairs (name, column).

    A column that shows a label has the name of this label. A column that shows the values of query B has the name
    `Value #B`.
    """
    named, position = [], 0
    for column in panel.columns:
        position += bool(column.expr)
        named.append((column.label or VALUE_OF.format(ref_id_of(position)), column))
    return named


def _color(panel: Panel) -> dashboard.FieldColor | None:
    if panel.thresholds and panel.kind is not Kind.SERIES:
        return dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
    if panel.kind is Kind.STATES:  # with thresholds, Grafana's state timeline would show those instead of the words
        return dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=GREY)
    if panel.kind is Kind.STAT:
        return dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=TEXT_COLOR)
    return None


def _label_as_name(panel: Panel) -> str | None:
    """Return the name of a bar from its label.

    Grafana omits the name of the only bar unless it is configured.
    """
    return None if panel.kind is not Kind.BARS or _has_several_bars(panel) else _label_of(panel.queries[0])


def _label_of(query: Query) -> str | None:
    """Return Grafana's text for the label that is the legend of a query, or None if the legend is something else."""
    label = ONE_LABEL.fullmatch(str(query.legend))
    return f"${{__field.labels.{label[1]}}}" if label else None


def _has_several_bars(panel: Panel) -> bool:
    return panel.kind is Kind.BARS and len(panel.queries) > 1


def _named_bar(ref_id: str, query: Query, lang: Language) -> Override:
    """Return the configured name of the bars of one query, for the case that only one bar has a value.

    It stands before the overrides of words, which replace the value of a label.
    """
    return _override("byFrameRefID", ref_id, displayName=_label_of(query) or in_language(query.legend, lang))


def _thresholds(steps: Thresholds) -> dashboard.ThresholdsConfig:
    made = [dashboard.Threshold(value, color) for value, color in steps or ((None, TEXT_COLOR),)]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=made)


def _mappings(words: Words, lang: Language) -> list[Mapping]:
    """Return Grafana's mappings of `words`. A value in slashes is a regular expression."""
    patterns = {value: word for value, word in words.items() if value.startswith("/")}
    plain = {value: word for value, word in words.items() if value not in patterns}
    results = {value: _result(word, lang, index) for index, (value, word) in enumerate(plain.items())}
    return [
        *([dashboard.ValueMap(options=results)] if results else []),
        *(
            dashboard.RegexMap(dashboard.DashboardRegexMapOptions(value, _result(word, lang, len(plain) + index)))
            for index, (value, word) in enumerate(patterns.items())
        ),
    ]


def _result(word: Word, lang: Language, index: int) -> dashboard.ValueMappingResult:
    return dashboard.ValueMappingResult(text=word.text.to(lang), color=word.color or None, index=index)


def _unknown(panel: Panel, lang: Language) -> Mapping:
    """Return the mapping that shows an absent value in grey."""
    result = dashboard.ValueMappingResult(text=panel.empty.to(lang), color=GREY, index=len(panel.value_words))
    match = dashboard.SpecialValueMatch.NULL_AND_NAN
    return dashboard.SpecialValueMap(dashboard.DashboardSpecialValueMapOptions(match, result))


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
    properties: dict[str, object] = {"unit": column.unit, "noValue": column.empty.to(lang)}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width:
        properties["custom.width"] = column.width
    if column.is_long:
        properties["custom.inspect"] = True
    if column.words:
        properties["mappings"] = _mappings(column.words, lang)
        properties["custom.align"] = "left"  # Grafana aligns by the value, which may be a number
    if column.thresholds:
        properties["thresholds"] = _thresholds(column.thresholds)
        properties["color"] = {"mode": "thresholds"}
    if column.thresholds or any(word.color for word in column.words.values()):
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.link:
        properties["links"] = [{"title": in_language(column.title, lang), "url": column.link}]
    if column.is_hidden:
        properties["custom.hidden"] = True
    return _override("byName", in_language(column.title, lang), **properties)


def _override(matcher: str, options: str, **properties: object) -> Override:
    return Override(
        matcher=dashboard.MatcherConfig(id_val=matcher, options=options),
        properties=[Property(id_val=name, value=value) for name, value in properties.items()],
    )


def _fixed(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}
