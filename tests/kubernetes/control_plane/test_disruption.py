"""Evictions of worker pods, as `kubectl drain` asks for them."""

from __future__ import annotations

import pytest

from testing.kubernetes.installation import NAMESPACE
from testing.kubernetes.pod_stages import PROCESS, RUNNING
from testing.polling import until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]
REFUSED = 429


def test_a_second_worker_is_not_evicted_before_the_first_is_replaced(installation):
    installation.change(has_processes=True)
    installation.install()
    installation.await_condition("Ready")
    installation.send(2 * installation.planned_queue_length())
    first, second = until(lambda: len(pods := _names(installation)) == 2 and pods, "two pods", 60, 0.5)
    _make_ready(installation, first)
    _make_ready(installation, second)
    until(lambda: _allowed(installation) == 1, "one eviction is allowed", 30, 0.2)
    assert _evict(installation, first) < REFUSED
    assert _evict(installation, second) == REFUSED
    (third,) = until(lambda: set(_names(installation)) - {first, second}, "a pod in place of the first", 30, 0.2)
    _make_ready(installation, third)
    until(lambda: _allowed(installation) == 1, "one eviction is allowed again", 30, 0.2)
    assert _evict(installation, second) < REFUSED


def _names(installation):
    return [pod["metadata"]["name"] for pod in installation.pods()]


def _make_ready(installation, pod):
    """Let kwok report the pod as ready, as if its process ran."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
    installation.plane.request(path, "PATCH", {"metadata": {"annotations": {PROCESS: RUNNING}}})


def _allowed(installation):
    return installation.plane.get("poddisruptionbudget", "worker")["status"].get("disruptionsAllowed")


def _evict(installation, pod):
    """Evict a pod and return the HTTP status of the answer."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    status, _ = installation.plane.request(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction", "POST", body)
    return status
