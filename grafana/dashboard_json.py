"""Turn a dashboard into the JSON that Grafana loads from a file.

The JSON has Grafana's classic v1 schema, version 39. Grafana 10 and later versions can load it.
"""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard, prometheus

from core.language import Language, Text
from grafana.board import Board, Place, Row, Variable, placed
from grafana.fields import columns, field_config, in_language, ref_id_of
from grafana.panel import Kind, Panel, Query
from grafana.panel_options import panel_model

#: Not v2, which the SDK recommends: Grafana before 12.1, and Grafana 13.0, cannot load v2 from files.
SCHEMA_VERSION = 39
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "aforo"
#: Grafana's rate interval is four times the shortest step, so rates look back a minute: tasks end rarely.
SHORTEST_STEP_OF_RATES = "15s"
SORTED = {True: dashboard.VariableSort.ALPHABETICAL_DESC, False: dashboard.VariableSort.NATURAL_ASC}
#: Kinds without an axis of their own for the unit of their values.
WITHOUT_AXIS = frozenset({Kind.STAT, Kind.BARS, Kind.HEAT, Kind.CHART})


def board_json(board: Board, lang: Language) -> str:
    """Return a dashboard as JSON text, with its titles in `lang`. Equal dashboards give equal text."""
    return _encoded(_dashboard(board, lang))


def _dashboard(board: Board, lang: Language) -> dashboard.Dashboard:
    return dashboard.Dashboard(
        uid=board.uid,
        title=board.title.to(lang),
        description=board.description.to(lang),
        tags=[TAG],
        editable=False,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(from_val=board.time_from, to="now"),
        timepicker=dashboard.TimePickerConfig(refresh_intervals=["5s", "15s", "1m"]),
        refresh=board.refresh,
        schema_version=SCHEMA_VERSION,
        panels=_panels(board, lang),
        templating=dashboard.DashboardDashboardTemplating(list_val=_variables(board, lang)),
        annotations=dashboard.AnnotationContainer(list_val=_annotations(board, lang)),
        links=_links(board, lang),
    )


def _encoded(model: dashboard.Dashboard) -> str:
    board = json.loads(json.dumps(model, cls=JSONEncoder))
    for part in (*board["links"], *board["annotations"]["list"]):
        part.pop("placement", None)  # set by the SDK only; with it, Grafana 12 does not draw links
    return json.dumps(board, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _panels(board: Board, lang: Language) -> list[dashboard.Panel | dashboard.RowPanel]:
    numbered = enumerate(placed(board), start=1)
    return [
        _row(part, place, number, lang) if isinstance(part, Row) else _panel(part, place, number, lang)
        for number, (part, place) in numbered
    ]


def _row(row: Row, place: Place, number: int, lang: Language) -> dashboard.RowPanel:
    return dashboard.RowPanel(title=row.title.to(lang), id_val=number, grid_pos=_grid(place), panels=[])


def _panel(panel: Panel, place: Place, number: int, lang: Language) -> dashboard.Panel:
    model = panel_model(panel, lang)
    model.id_val, model.grid_pos, model.datasource = number, _grid(place), SOURCE
    model.title, model.description = _title(panel, lang), panel.question.to(lang)
    model.targets = [_target(panel, query, position, lang) for position, query in enumerate(panel.queries)]
    model.field_config = field_config(panel, model, lang)
    model.transformations = [*_table_steps(panel, lang), *(_transformation(t) for t in panel.transformations)]
    model.interval = "1s"
    return model


def _title(panel: Panel, lang: Language) -> str:
    """Return the title, with the unit behind it if the panel has no axis that names the unit."""
    unit = f" ({panel.unit_text.to(lang)})" if panel.unit_text and panel.kind in WITHOUT_AXIS else ""
    return panel.title.to(lang) + unit


def _target(panel: Panel, query: Query, position: int, lang: Language) -> prometheus.Dataquery:
    formats = {Kind.TABLE: prometheus.PromQueryFormat.TABLE, Kind.HEAT: prometheus.PromQueryFormat.HEATMAP}
    formats[Kind.CHART] = prometheus.PromQueryFormat.TABLE
    return prometheus.Dataquery(
        expr=query.expr,
        instant=panel.is_instant,
        range_val=not panel.is_instant,
        format_val=formats.get(panel.kind, prometheus.PromQueryFormat.TIME_SERIES),
        editor_mode=prometheus.QueryEditorMode.CODE,
        legend_format=in_language(query.legend, lang) or "__auto",
        interval=SHORTEST_STEP_OF_RATES if "_interval" in query.expr else None,
        ref_id=ref_id_of(position),
        datasource=SOURCE,
    )


def _table_steps(panel: Panel, lang: Language) -> list[dashboard.DataTransformerConfig]:
    """Return the transformations that make a table of the results.

    The transformations join the queries by key, keep and rename the columns, and sort: by the panel's order, or else
    by key descending.
    """
    if panel.kind is not Kind.TABLE:
        return []
    named = columns(panel)
    steps: list[dict[str, Any]] = [
        {"id": "filterFieldsByName", "options": {"include": {"names": [name for name, _ in named]}}},
        {
            "id": "organize",
            "options": {
                "indexByName": {name: index for index, (name, _) in enumerate(named)},
                "renameByName": {name: in_language(column.title, lang) for name, column in named},
            },
        },
    ]
    steps = [*_in_order(panel), *steps]
    if len(panel.queries) > 1:
        steps.insert(0, {"id": "joinByField", "options": {"byField": panel.key, "mode": "outer"}})
    key = next((in_language(column.title, lang) for name, column in named if name == panel.key), None)
    if key and not panel.order:
        steps.append({"id": "sortBy", "options": {"sort": [{"field": key, "desc": True}]}})
    return [_transformation(step) for step in steps]


def _in_order(panel: Panel) -> list[dict[str, Any]]:
    """Return the transformations that sort the rows by the numbers in the labels of `Panel.order`, and then by key.

    Grafana compares texts letter by letter, so that 10 comes before 2. A sort keeps the order of rows that are equal to
    it, so the most important label is sorted last.
    """
    if not panel.order:
        return []
    numbers = [{"targetField": label, "destinationType": "number"} for label in panel.order]
    sorts = ({"id": "sortBy", "options": {"sort": [{"field": name}]}} for name in (panel.key, *reversed(panel.order)))
    return [{"id": "convertFieldType", "options": {"conversions": numbers, "fields": {}}}, *sorts]


def _transformation(step: dict[str, Any]) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=step["id"], options=step["options"])


def _variables(board: Board, lang: Language) -> list[dashboard.VariableModel]:
    source = dashboard.VariableModel(
        type_val=dashboard.VariableType.DATASOURCE,
        name="datasource",
        label=Text("Fuente de datos", "Data source").to(lang),
        query="prometheus",
        current=dashboard.VariableOption(text="Prometheus", value="prometheus"),
        refresh=dashboard.VariableRefresh.ON_DASHBOARD_LOAD,
    )
    return [source, *(_variable(variable, lang) for variable in board.variables)]


def _variable(variable: Variable, lang: Language) -> dashboard.VariableModel:
    query = in_language(variable.query, lang)
    asks_series = query.startswith("query_result(")
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.QUERY,
        name=variable.name,
        label=variable.title.to(lang),
        query={"qryType": 3 if asks_series else 1, "query": query, "refId": f"variable-{variable.name}"},
        regex=_pattern(variable) if asks_series else None,
        definition=query,
        datasource=SOURCE,
        refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=dashboard.VariableSort.DISABLED
        if asks_series and not variable.is_sorted
        else SORTED[variable.newest_first],
        multi=variable.multiple,
        include_all=variable.multiple,
        all_value=".+" if variable.multiple and not variable.only_listed else None,
        current=_current(variable, lang),
    )


def _pattern(variable: Variable) -> str:
    """Return the pattern that takes value and text from a series.

    Grafana writes the labels in alphabetical order.
    """
    value = f'{variable.name}="(?<value>[^"]+)"'
    return f'/{variable.shown_label}="(?<text>[^"]+)", ?{value}/' if variable.shown_label else f"/{value}/"


def _current(variable: Variable, lang: Language) -> dashboard.VariableOption | None:
    if variable.multiple:
        return dashboard.VariableOption(text=Text("Todo", "All").to(lang), value="$__all")
    if variable.default:
        return dashboard.VariableOption(text=variable.default[0].to(lang), value=variable.default[1])
    return None


def _annotations(board: Board, lang: Language) -> list[dashboard.AnnotationQuery]:
    """Return the marks of the starts of runs: of the chosen run if the dashboard shows one.

    Starts before the shown range are left out, because Grafana would put their marks on its left edge.
    """
    chosen = '{run_id="$run_id"}' if "run_id" in {variable.name for variable in board.variables} else ""
    started = f"1000 * max by (run_id) (aforo_run_window_start_timestamp_seconds{chosen})"
    return [
        dashboard.AnnotationQuery(
            name=Text("Inicio de prueba", "Start of run").to(lang),
            datasource=SOURCE,
            icon_color="#3274D9",
            expr=f"{started} > $__from",
            title_format=Text("Inicio", "Start").to(lang),
            text_format="{{run_id}}",
            step="5s",
            use_value_for_time=True,
        )
    ]


def _links(board: Board, lang: Language) -> list[dashboard.DashboardLink]:
    """Return the links: to the other dashboards, and to the newest run from a dashboard of one run.

    Each dashboard keeps its own time range, because a day of runs and the minutes of one need different ranges.
    """
    others = dashboard.DashboardLink(
        title=Text("Otros tableros", "Other dashboards").to(lang),
        type_val=dashboard.DashboardLinkType.DASHBOARDS,
        icon="external link",
        tags=[TAG],
        as_dropdown=True,
        include_vars=True,
    )
    newest = dashboard.DashboardLink(
        title=Text("La última", "Newest").to(lang),
        type_val=dashboard.DashboardLinkType.LINK,
        icon="bolt",
        url=f"/d/{board.uid}?${{datasource:queryparam}}",
    )
    return [others, newest] if "run_id" in {variable.name for variable in board.variables} else [others]


def _grid(place: Place) -> dashboard.GridPos:
    return dashboard.GridPos(x=place.x, y=place.y, w=place.width, h=place.height)
