"""Options of each kind of panel in Grafana's JSON, built with the typed builders of Grafana's SDK."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders import barchart, bargauge, common, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heat_kinds

from core.language import Language
from grafana.panel import Kind, Panel

#: Longest label of a bar in characters. With the SDK's default 0, Grafana writes "..." under every bar.
LONGEST_LABEL = 60
#: Units of counts and of bytes. Their axis reaches at least 1.
COUNTED = frozenset({"none", "bytes", "Bps"})


def panel_model(panel: Panel, lang: Language) -> dashboard.Panel:
    """Return a panel in Grafana's format, with the options of its kind.

    The caller adds queries, title and position.
    """
    return _series(panel, lang) if panel.kind is Kind.SERIES else _MODELS[panel.kind](panel)


def _stat(panel: Panel) -> dashboard.Panel:
    is_named = panel.is_named or len(panel.queries) > 1
    mode = kinds.BigValueTextMode.VALUE_AND_NAME if is_named else kinds.BigValueTextMode.AUTO
    # in a tile of numbers, of which only a special one is a word, a number has no colour for the background
    is_in_words = bool(panel.value_words) and panel.unit == "none"
    return (
        stat.Panel()
        .reduce_options(_last("last" if panel.sparkline else "lastNotNull"))
        .text_mode(mode)
        .graph_mode(kinds.BigValueGraphMode.AREA if panel.sparkline else kinds.BigValueGraphMode.NONE)
        .text(_text_size())
        .color_mode(_BACKGROUND if panel.thresholds or is_in_words else _VALUE)
        .build()
    )


def _series(panel: Panel, lang: Language) -> dashboard.Panel:
    stacking = kinds.StackingMode.NORMAL if panel.stacked else kinds.StackingMode.NONE
    model = (
        timeseries.Panel()
        .legend(_compared(panel) if panel.is_compared else _legend())
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .draw_style(kinds.GraphDrawStyle.BARS if panel.as_bars else kinds.GraphDrawStyle.LINE)
        .line_width(0 if panel.stacked or panel.as_bars else 2)
        .fill_opacity(60 if panel.stacked or panel.as_bars else 8)
        .show_points(kinds.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(stacking).group("A"))
    )
    if panel.unit_text:
        model = model.axis_label(panel.unit_text.to(lang))
    if end := _least_axis_end(panel):
        model = model.axis_soft_max(end)
    if panel.thresholds:
        model = model.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    return model.build()


def _least_axis_end(panel: Panel) -> float | None:
    """Return up to where an axis reaches at least, as Grafana would give a flat zero an axis up to 100.

    Seconds, cores and calls per second are often far below 1, and would be a flat line on an axis up to 1.
    """
    if panel.unit_text:
        return 1 if "min" in panel.unit_text.en else 0.01
    return 1 if panel.unit in COUNTED else None


def _states(_panel: Panel) -> dashboard.Panel:
    return (
        statetimeline.Panel()
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.SINGLE).sort(kinds.SortOrder.NONE))
        .show_value(kinds.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(85)
        .build()
    )


def _bars(panel: Panel) -> dashboard.Panel:
    return (
        bargauge.Panel()
        .reduce_options(_last())
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
        .text(_text_size(18))
        .build()
    )


def _chart(panel: Panel) -> dashboard.Panel:
    return (
        barchart.Panel()
        .legend(_legend())
        .orientation(kinds.VizOrientation.HORIZONTAL if panel.is_horizontal else kinds.VizOrientation.VERTICAL)
        .stacking(kinds.StackingMode.NORMAL if panel.stacked else kinds.StackingMode.NONE)
        # the number in a stack is that of its uppermost part, not of the whole
        .show_value(kinds.VisibilityMode.NEVER if panel.stacked else kinds.VisibilityMode.AUTO)
        .x_tick_label_rotation(0)
        .x_tick_label_max_length(LONGEST_LABEL)
        .fill_opacity(80)
        .build()
    )


def _table(panel: Panel) -> dashboard.Panel:
    return table.Panel().show_header(True).cell_height(kinds.TableCellHeight.SM).build()


def _heat(_panel: Panel) -> dashboard.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(heat_kinds.HeatmapColorMode.SCHEME).scheme("Oranges").steps(32))
        .y_axis(heatmap.YAxisConfig().unit("none"))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(kinds.HeatmapCellLayout.AUTO))
        .cell_gap(1)
        .hide_legend()  # without data it reads from ∞ to −∞
        .build()
    )


def _last(calculation: str = "lastNotNull") -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs([calculation]).values(False)


def _text_size(pixels: float = 34) -> common.VizTextDisplayOptions:
    """Return one text size for all tiles.

    Grafana would fit each text to its tile, the longest being the smallest.
    """
    return common.VizTextDisplayOptions().value_size(pixels).title_size(12)


def _compared(panel: Panel) -> common.VizLegendOptions:
    """Return a legend with the last and the highest value of each line.

    A small panel shows three rows of it, so the highest lines come first. Limits would hide what is measured, so a
    panel with limits keeps the order of its queries.
    """
    table = _legend().display_mode(kinds.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    if any(query.is_limit for query in panel.queries):
        return table
    return table.sort_by("Max").sort_desc(True)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


_VALUE, _BACKGROUND = kinds.BigValueColorMode.VALUE, kinds.BigValueColorMode.BACKGROUND
_MODELS: dict[Kind, Callable[[Panel], dashboard.Panel]] = {
    Kind.STAT: _stat,
    Kind.BARS: _bars,
    Kind.CHART: _chart,
    Kind.TABLE: _table,
    Kind.HEAT: _heat,
    Kind.STATES: _states,
}
