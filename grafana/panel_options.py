"""Options of each kind of panel, built with the typed builders of Grafana's SDK."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders import barchart, bargauge, common, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heat_kinds

from grafana.panel import Kind, Panel

#: Longest label of a bar in characters. With the SDK's default 0, Grafana writes "..." under every bar.
LONGEST_LABEL = 60


def panel_model(panel: Panel) -> dashboard.Panel:
    """Return Grafana's panel with type and options, without queries, texts and position."""
    return _MODELS[panel.kind](panel)


def _stat(panel: Panel) -> dashboard.Panel:
    mode = kinds.BigValueTextMode.NAME if panel.by_name else kinds.BigValueTextMode.AUTO
    if len(panel.queries) > 1 and not panel.by_name:
        mode = kinds.BigValueTextMode.VALUE_AND_NAME
    return (
        stat.Panel()
        .reduce_options(_last())
        .text_mode(mode)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.BACKGROUND if panel.thresholds or panel.by_name else _VALUE)
        .build()
    )


def _series(panel: Panel) -> dashboard.Panel:
    stacking = kinds.StackingMode.NORMAL if panel.stacked else kinds.StackingMode.NONE
    return (
        timeseries.Panel()
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .line_width(1 if panel.stacked else 2)
        .fill_opacity(60 if panel.stacked else 8)
        .show_points(kinds.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(stacking).group("A"))
        .build()
    )


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
        .build()
    )


def _chart(panel: Panel) -> dashboard.Panel:
    return (
        barchart.Panel()
        .legend(_legend())
        .orientation(kinds.VizOrientation.VERTICAL)
        .stacking(kinds.StackingMode.NORMAL if panel.stacked else kinds.StackingMode.NONE)
        .show_value(kinds.VisibilityMode.AUTO)
        .x_tick_label_rotation(0)
        .x_tick_label_max_length(LONGEST_LABEL)
        .x_tick_label_spacing(panel.label_width)
        .fill_opacity(80)
        .build()
    )


def _table(panel: Panel) -> dashboard.Panel:
    return table.Panel().show_header(True).cell_height(kinds.TableCellHeight.SM).build()


def _heat(panel: Panel) -> dashboard.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(heat_kinds.HeatmapColorMode.SCHEME).scheme("Oranges").steps(32))
        .y_axis(heatmap.YAxisConfig().unit(str(panel.unit)))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(kinds.HeatmapCellLayout.AUTO))
        .cell_gap(1)
        .show_legend()
        .build()
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


_VALUE = kinds.BigValueColorMode.VALUE
_MODELS: dict[Kind, Callable[[Panel], dashboard.Panel]] = {
    Kind.STAT: _stat,
    Kind.SERIES: _series,
    Kind.BARS: _bars,
    Kind.CHART: _chart,
    Kind.TABLE: _table,
    Kind.HEAT: _heat,
    Kind.STATES: _states,
}
