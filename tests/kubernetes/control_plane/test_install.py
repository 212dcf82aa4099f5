"""`kubectl apply`: what it creates, in which order it has to be typed, and that it changes nothing the second time."""

from __future__ import annotations

import pytest

from testing.kubernetes.documented_commands import install_commands
from testing.kubernetes.installation import NAMESPACE
from testing.kubernetes.overlay import keys_secret
from testing.polling import until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]


def test_the_documented_commands_create_every_object_and_a_scaler_that_is_ready(installation):
    installation.delete_namespace()
    installation.change(run={})
    installation.install()
    assert installation.created() == installation.expected()
    kinds = {kind for kind, _ in installation.created()}
    assert {"NetworkPolicy", "PodMonitor", "PrometheusRule", "PodDisruptionBudget", "Job", "ScaledObject"} <= kinds
    installation.await_condition("Ready")
    names = ("worker", "sqs-exporter", "db-exporter")
    until(lambda: [installation.ready_pods(name) for name in names] == [1, 1, 1], "one pod of each is ready", 60, 0.5)
    # the namespace rejects a pod that is not restricted enough, and the Job reports it
    until(lambda: installation.plane.get("job", "run")["status"].get("active") == 1, "the Job has its pod")
    assert installation.differences() == ""


def test_without_the_secret_the_scaler_is_not_ready_and_names_it(installation):
    installation.delete_namespace()
    folder = str(installation.overlay.write(installation.folder))
    commands = list(install_commands(installation.database_url, installation.database_url, folder))
    (create_secret,) = [words for words in commands if "secret" in words]
    installation.plane.kubectl("create", "namespace", NAMESPACE)
    installation.plane.apply(keys_secret())
    installation.apply()
    until(lambda: installation.condition("Ready").get("status") == "False", "the ScaledObject is not ready", 60, 0.5)
    events = installation.plane.get("events", "--field-selector", "involvedObject.kind=ScaledObject")["items"]
    assert any("aforo-database" in event["message"] for event in events), events
    installation.plane.kubectl(*create_secret)
    installation.await_condition("Ready", seconds=120)
