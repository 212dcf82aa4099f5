"""Our text of /metrics says the same as prometheus_client's, less the moments of creation."""

import math

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from aforo.telemetry import exposition
from aforo.telemetry.exposition import Exposition


def parsed(text):
    """Return type, help and samples by name. Labels and values are those that a reader sees."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {(s.name, *sorted(s.labels.items())): s.value for s in family.samples if not s.name.endswith("_created")},
        )
        for family in text_string_to_metric_families(text.decode())
        if not family.name.endswith("_created")
    }


class Odd:
    """A collector with labels, numbers and a help text that need care."""

    def collect(self):
        gauge = GaugeMetricFamily("odd", 'a "help" with \\ and\na line', labels=["path", "a"])
        for number, value in enumerate((0.1, 1e300, -math.inf, math.inf, 12345678901234.0, 7)):
            gauge.add_metric([f'C:\\x "{number}"\n', "é"], value)
        yield gauge
        yield CounterMetricFamily("odd_things", "Things.", value=3)


def test_the_text_has_the_same_names_labels_and_values(metrics, registry):
    registry.register(Odd())
    metrics.initialise_tasks({"app.process": None})
    metrics.task_seconds.labels("app.process", "succeeded").observe(3.25)
    rendered = Exposition(registry)
    for observed in (0.5, 70.0):
        metrics.queue_wait.labels("app.process").observe(observed)
        text = rendered.render()
        assert parsed(text) == parsed(generate_latest(registry))
        assert b"_created" not in text


def test_the_kept_texts_are_bounded(registry, monkeypatch):
    monkeypatch.setattr(exposition, "MAX_TEXTS", 5)

    class Changing:
        number = 0

        def collect(self):
            self.number += 1
            family = GaugeMetricFamily("changing", "New labels at each scrape.", labels=["n"])
            family.add_metric([str(self.number)], self.number)
            yield family

    registry.register(Changing())
    rendered = Exposition(registry)
    pages = [rendered.render() for _ in range(50)]
    assert pages[-1].endswith(b'changing{n="50"} 50.0\n')
    assert len(rendered._texts) <= 7
