"""Client for Prometheus: PromQL queries through its API, and samples of /metrics pages."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from core.errors import EnvironmentFault

TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Sample:
    """One value of one Prometheus series, with its labels."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """One Prometheus series over time: its labels, and pairs of epoch seconds and value."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


def summed_over_machines(metric: str, *labels: str) -> str:
    """Return a PromQL expression for the sum of `metric` over all machines, grouped by `labels`.

    `metric` describes a whole machine. A machine with several workers counts once.
    """
    by = f"by ({', '.join(labels)}) " if labels else ""
    per_host = ", ".join((*labels, "host"))
    return f"sum {by}(max by ({per_host}) ({metric} * on (instance) group_left (host) aforo_node_info))"


def query(base_url: str, expression: str) -> list[Sample]:
    """Evaluate a PromQL expression now and return its samples.

    Raise EnvironmentFault if Prometheus does not answer or rejects the expression.
    """
    with _readable_answer(base_url):
        result = _request(base_url, "query", {"query": expression})
        return [Sample(dict(series["metric"]), float(series["value"][1])) for series in result]


def query_range(base_url: str, expression: str, start: float, end: float, step_seconds: float) -> list[Series]:
    """Evaluate a PromQL expression from `start` to `end` (epoch seconds) and return its series.

    Raise EnvironmentFault if Prometheus does not answer or rejects the expression.
    """
    window = {"query": expression, "start": start, "end": end, "step": step_seconds}
    with _readable_answer(base_url):
        result = _request(base_url, "query_range", window)
        return [Series(dict(each["metric"]), tuple((float(t), float(v)) for t, v in each["values"])) for each in result]


def single(base_url: str, expression: str) -> float | None:
    """Evaluate a PromQL expression now and return the value of its only sample.

    Return None if there is not exactly one sample, or if Prometheus does not answer.
    """
    try:
        samples = query(base_url, expression)
    except EnvironmentFault:
        return None
    return samples[0].value if len(samples) == 1 else None


def targets(base_url: str, jobs: Collection[str]) -> list[str]:
    """Return HOST:PORT of every address that Prometheus scrapes for these jobs, sorted and each once.

    Raise EnvironmentFault if Prometheus does not answer.
    """
    with _readable_answer(base_url):
        active = _request(base_url, "targets", {"state": "active"}, "activeTargets")
        urls = [str(each["scrapeUrl"]) for each in active if each["scrapePool"] in jobs]
        return sorted({urllib.parse.urlsplit(url).netloc for url in urls})


def scrape(host: str, port: int) -> dict[str, list[Sample]] | None:
    """Read the /metrics page of the program at `host` and `port`, and return its samples by metric.

    Return None if no program answers there, or if its answer is no metrics page.
    """
    try:
        text = _read(f"http://{host}:{port}/metrics").decode()
        families = list(text_string_to_metric_families(text))
    except (OSError, ValueError, LookupError, AttributeError):  # the parser has no error of its own
        return None
    return {f.name: [Sample(dict(s.labels), s.value) for s in f.samples] for f in families}


def _request(base_url: str, endpoint: str, parameters: dict[str, Any], key: str = "result") -> list[dict[str, Any]]:
    url = f"{base_url}/api/v1/{endpoint}?" + urllib.parse.urlencode(parameters)
    try:
        content = _read(url)
    except urllib.error.HTTPError as error:
        remedy = "look at the expression and at Prometheus' log"
        raise EnvironmentFault("Prometheus", f"it rejects a query: {error}", remedy, value=base_url) from error
    except (OSError, ValueError) as error:
        raise EnvironmentFault("Prometheus", str(error), "start the stack with `make up`", value=base_url) from error
    result: list[dict[str, Any]] = json.loads(content)["data"][key]
    return result


@contextmanager
def _readable_answer(base_url: str) -> Iterator[None]:
    """Context manager: raise EnvironmentFault if the block cannot read the answer. Another server may have sent it."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        remedy = "see what answers there, and AFORO_PROMETHEUS_URL"
        raise EnvironmentFault("Prometheus", "its answer is none of Prometheus", remedy, value=base_url) from error


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (a setting of the user)
        content: bytes = answer.read()
    return content
