"""Render the text of /metrics in less than half the CPU time of prometheus_client's renderer.

The name and labels before each value are kept as text between scrapes. The `_created` lines, which say when a series
was created, are left out.
"""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample

#: More texts than a worker's metrics have; a collector with ever new labels fills no memory.
MAX_TEXTS = 10_000


class Exposition:
    """Renderer of the text of /metrics, for the counters, gauges and histograms in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._texts: dict[tuple[object, ...], str] = {}

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        if len(self._texts) > MAX_TEXTS:
            self._texts.clear()
        parts: list[str] = []
        for metric in self._registry.collect():
            parts.append(self._head(metric))
            for sample in metric.samples:
                if not sample.name.endswith("_created"):
                    parts += (self._text(sample), _value(sample.value))
        return "".join(parts).encode()

    def _head(self, metric: Metric) -> str:
        key = (metric.name, metric.type, metric.documentation)
        text = self._texts.get(key)
        if text is None:
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            documentation = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
            text = self._texts[key] = f"# HELP {name} {documentation}\n# TYPE {name} {metric.type}\n"
        return text

    def _text(self, sample: Sample) -> str:
        """Return a sample's name and labels, and the space before its value."""
        key = (sample.name, *sample.labels.items())
        text = self._texts.get(key)
        if text is None:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items()))
            text = self._texts[key] = f"{sample.name}{{{labels}}} " if labels else f"{sample.name} "
        return text


def _value(value: float) -> str:
    if math.isfinite(value):
        return f"{float(value)!r}\n"
    return "NaN\n" if math.isnan(value) else "+Inf\n" if value > 0 else "-Inf\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
