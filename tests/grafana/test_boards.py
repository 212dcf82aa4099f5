"""The committed dashboards: up to date, valid, and with texts that fit their values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from aforo.sqs.observer import PollResult
from capacity.diagnosis.bottleneck import BANDWIDTH_BUSY, CPU_BUSY, PRESSURE_SOME, Cause
from capacity.diagnosis.data_quality import Problem
from capacity.diagnosis.validity import Level
from capacity.estimators.stability import Stability
from core.label_values import values_of
from core.language import VALIDITY_HEADING, VALIDITY_NAMES, VALIDITY_REASON_NAMES
from core.run import Mode, RunStatus
from core.video import Outcome, Reason, Stage, VideoState
from grafana import wording
from grafana.boards import BOARDS, bottleneck
from grafana.check import problems
from grafana.dashboard_files import FOLDERS, generate, stale
from grafana.expressions import expressions, panels
from grafana.promtool import promtool_errors
from grafana.series_names import rules, series_names
from tests.prometheus.promtools import PROMTOOLS

COMMITTED = [path for folder in FOLDERS.values() for path in sorted(folder.glob("*.json"))]
UIDS = {board.uid for board in BOARDS}


def load(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lang", FOLDERS)
def test_the_committed_json_is_up_to_date_with_its_source(lang):
    assert stale(lang) == []
    assert len(generate(lang)) == len(UIDS) == 5


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_committed_dashboard_has_no_problem(path):
    assert load(path)["uid"] == path.stem
    assert problems(load(path), series_names(), UIDS) == []


def test_both_languages_have_the_same_queries_and_different_texts():
    for spanish in FOLDERS["es"].glob("*.json"):
        one, two = load(spanish), load(FOLDERS["en"] / spanish.name)
        assert [(e.ref_id, e.text) for e in expressions(one)] == [(e.ref_id, e.text) for e in expressions(two)]
        assert one["description"] != two["description"]


@pytest.mark.parametrize("lang", FOLDERS)
def test_a_panel_about_celery_events_names_what_sends_them(lang):
    about = [panel for panel in panels(load(FOLDERS[lang] / "aforo-worker.json")) if queries_celery_events(panel)]
    assert len(about) == 2
    for panel in about:
        assert "`aforo[events]`" in panel["description"]
        assert "`AFORO_EVENTS_REDIS_URL`" in panel["description"]


def queries_celery_events(panel):
    texts = " ".join(target.get("expr", "") for target in panel.get("targets", []))
    return "celery_task_" in texts or "aforo_worker_events_" in texts


@pytest.mark.parametrize("number", [0, 1])
def test_every_query_is_valid_in_two_major_versions_of_prometheus(number):
    if number >= len(PROMTOOLS):
        pytest.skip("too few promtools; AFORO_PROMTOOLS=/path/promtool-2:/path/promtool-3 adds others")
    texts = [expression.text for path in COMMITTED for expression in expressions(load(path))]
    assert promtool_errors(PROMTOOLS[number], texts) == ""
    assert "sparkle" in promtool_errors(PROMTOOLS[number], [*texts, "sparkle(up)"])


def test_every_recording_rule_is_used_by_a_dashboard_an_alert_a_rule_or_the_table():
    queries = [e.text for path in COMMITTED for e in expressions(load(path))]
    queries += [rule["expr"] for folder in ("rules", "alerts") for rule in rules(folder)]
    queries.append(Path("capacity/analysis/recording_rules.py").read_text(encoding="utf-8"))
    queries.append(Path("prometheus/consoles/index.html").read_text(encoding="utf-8"))
    unused = {rule["record"] for rule in rules("rules") if not any(rule["record"] in text for text in queries)}
    assert unused == set()


def test_a_rate_covers_at_least_one_minute():
    for path in COMMITTED:
        for panel in panels(load(path)):
            steps = {t.get("interval") for t in panel["targets"] if "_interval" in t["expr"]}
            assert steps <= {"15s"}, (path.stem, panel["title"])


def test_the_runbook_names_panels_that_exist_in_both_languages():
    runbook = Path("docs/runbook.md").read_text(encoding="utf-8").replace("\n", " ")
    one = r"\*[^*]+\*(?: \(\*[^*]+\*\))?"
    places = re.findall(rf"(\w[\w ]*?) → ((?:{one}(?:,? and |, )?)+)", runbook)
    assert len(places) > len(rules("alerts")) / 2
    for end, names in places:
        board = next(board for board in BOARDS if end.endswith(board.title.en.removeprefix("Aforo · ")))
        titles = {panel.title.en: panel.title.es for row in board.rows for panel in row.panels}
        for english, spanish in re.findall(r"\*([^*]+)\*(?: \(\*([^*]+)\*\))?", names):
            assert titles.get(english) == (spanish or english), (end, english)


def panel(uid, title):
    return next(each for each in panels(load(FOLDERS["en"] / f"{uid}.json")) if each["title"] == title)


def test_a_target_that_is_down_has_its_own_colour():
    shown = panel("aforo-stack-health", "Targets")
    (mapping,) = shown["fieldConfig"]["defaults"]["mappings"]
    assert shown["type"] == "state-timeline"
    assert mapping["options"]["1"]["color"] == wording.GREEN != mapping["options"]["0"]["color"] == wording.RED
    # with thresholds Grafana merges the values of a timeline and shows one grey step
    assert shown["fieldConfig"]["defaults"]["color"]["mode"] == "fixed"


def test_the_targets_shown_are_the_jobs_that_are_scraped():
    scraped = yaml.safe_load(Path("prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    expression = panel("aforo-stack-health", "Targets")["targets"][0]["expr"]
    (jobs,) = re.findall(r'job=~"([^"]+)"', expression)
    assert set(jobs.split("|")) - {"$job"} == {each["job_name"] for each in scraped} - {"prometheus"}


def test_the_table_of_alerts_shows_every_label_that_distinguishes_alerts_of_one_name():
    shown = panel("aforo-stack-health", "Firing alerts")
    (by,) = re.findall(r"by \(([^)]+)\)", shown["targets"][0]["expr"])
    included = next(t for t in shown["transformations"] if t["id"] == "filterFieldsByName")
    named = {name for rule in rules("alerts") for name in re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))}
    assert {"collector", "place", "job"} <= named <= set(by.split(", ")) == set(included["options"]["include"]["names"])


def test_every_alert_has_a_meaning_and_a_remedy_on_the_board():
    assert set(wording.ALERTS) == {rule["alert"] for rule in rules("alerts")}
    assert set(wording.SEVERITIES) == {rule["labels"]["severity"] for rule in rules("alerts")}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb`, as WCAG 2 defines it: from 1 to 21."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("panel_color", ["#181b1f", "#ffffff"], ids=["dark", "light"])
def test_every_colour_can_be_read_on_the_panels_of_both_themes(panel_color):
    colors = {name: value for name, value in vars(wording).items() if re.fullmatch("#[0-9A-F]{6}", str(value))}
    assert len(colors) >= 11
    assert {
        name: round(contrast(value, panel_color), 2)
        for name, value in colors.items()
        if contrast(value, panel_color) < 3
    } == {}


def test_the_lines_drawn_are_the_limits_of_the_verdict():
    drawn = (bottleneck.CPU_LIMIT, bottleneck.PRESSURE_LIMIT, bottleneck.BANDWIDTH_LIMIT)
    assert drawn == (CPU_BUSY, PRESSURE_SOME, BANDWIDTH_BUSY)


def test_the_lines_drawn_are_the_limits_of_alert_and_scrape():
    (nearly_full,) = [rule["expr"] for rule in rules("alerts") if rule["alert"] == "DiskNearlyFull"]
    shown = panel("aforo-bottleneck", "Free space by place")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert (shown[-1]["value"], nearly_full.count("< 2 * 1024 ^ 3")) == (2 * 1024**3, 3)
    config = yaml.safe_load(Path("prometheus/prometheus.yml").read_text(encoding="utf-8"))
    steps = panel("aforo-stack-health", "Scrape duration")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert (steps[-1]["value"], config["global"]["scrape_interval"]) == (1, "1s")


def test_the_rows_of_cells_are_sorted_by_numbers_and_not_by_their_names():
    steps = panel("aforo-capacity", "Cells")["transformations"]
    ids = [step["id"] for step in steps]
    assert ids == ["joinByField", "convertFieldType", *["sortBy"] * 4, "filterFieldsByName", "organize"]
    converted = [each["targetField"] for each in steps[1]["options"]["conversions"]]
    sorts = [step["options"]["sort"] for step in steps if step["id"] == "sortBy"]
    assert converted == ["bytes", "slots_per_worker", "workers"]
    assert sorts == [[{"field": name}] for name in ("cell", "workers", "slots_per_worker", "bytes")]


@pytest.mark.parametrize(
    ("uid", "title", "order"), [("aforo-worker", "Mean by stage", "Max"), ("aforo-bottleneck", "Disk", None)]
)
def test_the_legend_begins_with_the_highest_line_unless_that_is_a_limit(uid, title, order):
    assert panel(uid, title)["options"]["legend"].get("sortBy") == order


@pytest.mark.parametrize(
    ("title", "least"), [("Throughput", 1), ("CPU quota", 0.01), ("Disk", 1), ("CPU", 0.01), ("Pressure (PSI)", None)]
)
def test_a_flat_zero_has_a_small_axis_that_does_not_flatten_small_values(title, least):
    assert panel("aforo-bottleneck", title)["fieldConfig"]["defaults"]["custom"].get("axisSoftMax") == least


def test_each_bar_of_several_queries_has_its_word_also_when_it_is_alone():
    names = {
        each["matcher"]["options"]: next((p["value"] for p in each["properties"] if p["id"] == "displayName"), None)
        for each in reversed(panel("aforo-capacity", "Queue now")["fieldConfig"]["overrides"])
    }
    assert names == {"A": "waiting", "B": "in process", "C": "dead-lettered"}


def test_tasks_and_stages_each_have_rate_errors_and_duration():
    texts = [e.text for e in expressions(load(FOLDERS["es"] / "aforo-worker.json"))]
    for by, counted, timed in (
        ("task", "aforo_worker_tasks_total", "aforo_worker_task_seconds"),
        ("stage", "aforo_worker_stage_seconds_count", "aforo_worker_stage_seconds"),
    ):
        assert any(text.startswith(f"60 * sum by ({by}) (rate({counted}{{") for text in texts), by
        assert any(text.startswith(f"sum by ({by}) (rate({timed}_sum{{") for text in texts), by
        assert any(text.startswith(f"histogram_quantile(0.95, sum by (le, {by}) (rate({timed}_") for text in texts), by
    # the reason of a failure is measured, its stage is not
    assert any("failed|lost" in text and "by (task)" in text for text in texts)
    assert any("aforo_worker_failures_total" in text and "by (reason)" in text for text in texts)


def test_stages_of_a_run_are_stacked():
    shown = panel("aforo-run", "Stages")
    assert (shown["type"], shown["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"]) == ("timeseries", "normal")


def test_every_label_value_is_shown_in_words():
    assert set(wording.STATES) == set(VideoState)
    assert set(wording.OUTCOMES) == set(Outcome)
    assert set(wording.STAGES) == set(Stage)
    assert set(wording.STATUSES) == set(RunStatus)
    assert set(wording.MODES) == set(Mode)
    assert set(wording.TASK_ENDS) == set(values_of("aforo_worker_tasks_total", "outcome"))
    assert set(wording.POLLS) == set(PollResult)
    assert set(wording.BOTTLENECKS) == set(Cause)
    assert set(wording.VERDICTS) == {verdict.lower() for verdict in Stability}
    assert set(wording.VALIDITIES) == set(Level) == set(values_of("aforo_run_validity_info", "validity"))
    assert set(wording.REASONS) == {*Reason, *values_of("aforo_worker_invalid_messages_total", "reason")}
    assert set(wording.OPERATIONS) == set(values_of("aforo_worker_handled_errors_total", "operation"))
    assert set(wording.COLLECTORS) == set(values_of("aforo_exporter_collector_success", "collector"))
    assert set(wording.FAULTS) == set(values_of("aforo_exporter_errors_total", "reason"))
    assert set(wording.FAULTS) == set(values_of("aforo_sqs_poll_errors_total", "reason"))
    assert set(wording.PLACES) == set(values_of("aforo_node_filesystem_free_bytes", "place"))
    assert set(wording.LIMITS) == set(values_of("aforo_node_bandwidth_limit_bytes_per_second", "resource"))
    assert set(wording.EXTENSIONS) == set(values_of("aforo_worker_visibility_extensions_total", "result"))


def test_validity_and_its_reasons_have_the_words_of_table_and_report_and_one_heading():
    assert {level: word.text for level, word in wording.VALIDITIES.items()} == VALIDITY_NAMES
    assert {code: wording.VALIDITY_WORDS[code].text for code in Problem} == VALIDITY_REASON_NAMES
    valid = {each.text.es for each in (wording.VALIDITIES["valid"], wording.VALIDITY_NUMBERS["2"])}
    shown = [part for board in BOARDS for row in board.rows for panel in row.panels for part in (panel, *panel.columns)]
    headings = {
        part.title
        for part in shown
        if valid & {word.text.es for word in (part.words | getattr(part, "value_words", {})).values()}
    }
    assert headings == {VALIDITY_HEADING}
    assert not [part.title for part in shown if part.title.es in {"Confianza", "Fiabilidad"}]


def test_the_errors_of_the_exporters_are_named_in_words():
    """Every series of the panel gets its name from its labels, as Grafana writes them in the legend."""
    shown = panel("aforo-stack-health", "Errors by reason")
    legends = [target["legendFormat"] for target in shown["targets"]]
    reasons = values_of("aforo_exporter_errors_total", "reason")
    collectors = values_of("aforo_exporter_errors_total", "collector")
    names = {
        legend.replace("{{collector}}", collector).replace("{{reason}}", reason)
        for legend in legends
        for collector in collectors
        for reason in reasons
    }
    assert names == {override["matcher"]["options"] for override in shown["fieldConfig"]["overrides"]}
    assert "db unreachable" in names


def test_each_state_has_the_same_colour_everywhere():
    shown = {word.text.to("es"): word.color for word in wording.STATES.values()}
    for outcome in ("done", "failed"):
        word = wording.OUTCOMES[outcome]
        assert shown[word.text.to("es")] == word.color
