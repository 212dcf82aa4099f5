"""The manifests agree with each other, with the settings and with their sources.

No schema can check this.
"""

from __future__ import annotations

import json
import runpy
import shlex
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import yaml

from core.settings import Settings
from tests.kubernetes.manifests import FOLDER, label, manifests, settings, the

ROOT = FOLDER.parents[1]
DEPLOYMENTS = manifests("Deployment")
JOBS = manifests("Job")


def pod(deployment):
    return deployment["spec"]["template"]["spec"]


def test_queue_length_and_most_replicas_are_those_of_the_plan():
    scaled = the("ScaledObject", "worker")
    command = [sys.executable, "-m", "capacity", "plan", *shlex.split(scaled["metadata"]["annotations"]["aforo/plan"])]
    answer = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    plan = json.loads(answer.stdout)
    metadata = scaled["spec"]["triggers"][0]["metadata"]
    assert metadata["scaleOnInFlight"] == "true"
    assert metadata["queueLength"] == str(plan["keda_queue_length"])
    assert scaled["spec"]["maxReplicaCount"] >= plan["workers"]
    assert plan["demand"]["slots_per_worker"] == int(settings()["AFORO_WORKER_CONCURRENCY"])


def test_queue_and_region_of_the_scaler_are_those_of_the_settings():
    metadata = the("ScaledObject", "worker")["spec"]["triggers"][0]["metadata"]
    assert metadata["queueURL"].endswith("/" + settings()["SQS_QUEUE_NAME"])
    assert metadata["awsRegion"] == settings()["AWS_REGION"]


def test_the_settings_are_valid_and_known():
    Settings.from_env({**settings(), "AFORO_DATABASE_URL": "postgresql://aforo@db/aforo"})
    declared = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [name for name in settings() if f"#{name}=" not in declared] == []


def test_a_worker_has_time_to_finish_before_it_is_killed():
    grace = pod(the("Deployment", "worker"))["terminationGracePeriodSeconds"]
    assert grace >= int(settings()["AFORO_WORKER_SHUTDOWN_SECONDS"]) + 30


@pytest.mark.parametrize("owner", [*DEPLOYMENTS, *JOBS], ids=label)
def test_a_pod_has_the_least_privileges(owner):
    of_pod, (container,) = pod(owner)["securityContext"], pod(owner)["containers"]
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] == 10001
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(owner)["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=label)
def test_a_pod_that_hangs_is_restarted(deployment):
    (container,) = pod(deployment)["containers"]
    assert "livenessProbe" in container


def test_ports_are_those_of_the_settings_and_open_to_prometheus_only():
    defaults = Settings.from_env(settings())
    expected = {defaults.worker.metrics_port, defaults.exporters.sqs_port, defaults.exporters.db_port}
    opened = {port["containerPort"] for d in DEPLOYMENTS for port in pod(d)["containers"][0]["ports"]}
    (entry,) = the("NetworkPolicy", "aforo")["spec"]["ingress"]
    assert opened == expected == {port["port"] for port in entry["ports"]}
    assert entry["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_exporters_connect_as_the_read_only_user():
    secrets = {}
    for deployment in DEPLOYMENTS:
        (container,) = pod(deployment)["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "aforo-settings"}}]
        (variable,) = container["env"]
        assert variable["name"] == "AFORO_DATABASE_URL"
        secrets[deployment["metadata"]["name"]] = variable["valueFrom"]["secretKeyRef"]
    keys = {
        "worker": "AFORO_DATABASE_URL",
        "sqs-exporter": "AFORO_DATABASE_READONLY_URL",
        "db-exporter": "AFORO_DATABASE_READONLY_URL",
    }
    assert secrets == {name: {"name": "aforo-database", "key": key} for name, key in keys.items()}


def test_the_job_writes_with_the_url_of_the_owner_and_its_options_are_valid():
    (container,) = pod(the("Job", "run"))["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "aforo-settings"}}]
    secret, *options = container["env"]
    assert secret["valueFrom"]["secretKeyRef"] == {"name": "aforo-database", "key": "AFORO_DATABASE_URL"}
    environment = settings() | {option["name"]: option["value"] for option in options}
    assert Settings.from_env(environment | {"AFORO_DATABASE_URL": "postgresql://aforo@db/aforo"})
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[environment["AFORO_RESULTS_PATH"]] == "results"
    assert pod(the("Job", "run"))["volumes"][0] == {
        "name": "results",
        "persistentVolumeClaim": {"claimName": "results"},
    }


def test_only_the_run_reaches_prometheus():
    policy = the("NetworkPolicy", "run")["spec"]
    assert policy["podSelector"] == {"matchLabels": the("Job", "run")["spec"]["template"]["metadata"]["labels"]}
    (option,) = [
        each for each in pod(the("Job", "run"))["containers"][0]["env"] if each["name"].endswith("PROMETHEUS_URL")
    ]
    address = urlsplit(option["value"])
    ((peer,), (port,)) = policy["egress"][0]["to"], policy["egress"][0]["ports"]
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert (address.hostname.partition(".")[2], address.port) == (namespace, port["port"])


def test_dns_of_the_cluster_is_reachable():
    dns = [
        rule["to"][0]
        for rule in the("NetworkPolicy", "aforo")["spec"]["egress"]
        if rule["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    ]
    in_cluster = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    assert dns == [in_cluster, {"ipBlock": {"cidr": "169.254.20.10/32"}}]


def test_job_names_are_those_of_the_prometheus_configuration():
    scraped = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    names = {d["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] for d in DEPLOYMENTS}
    assert names == {job["job_name"] for job in scraped} - {"celery-exporter", "collector", "prometheus"}
    (endpoint,) = the("PodMonitor", "aforo")["spec"]["podMetricsEndpoints"]
    assert all(pod(d)["containers"][0]["ports"][0]["name"] == endpoint["port"] for d in DEPLOYMENTS)


def test_every_rule_and_alert_equals_its_source():
    text = runpy.run_path(str(FOLDER / "generate.py"))["render"]()
    assert (FOLDER / "prometheus-rules.yaml").read_text(encoding="utf-8") == text, "run deploy/kubernetes/generate.py"


def test_alerts_of_another_file_can_point_to_another_runbook(tmp_path):
    options = ["--runbook", "https://wiki.example/aforo", tmp_path / "rules.yaml"]
    subprocess.run([sys.executable, FOLDER / "generate.py", *options], check=True)
    documents = yaml.safe_load_all((tmp_path / "rules.yaml").read_text(encoding="utf-8"))
    rules = [rule for m in documents for group in m["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert rules
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example/aforo#{rule['alert'].lower()}"


def test_every_dashboard_is_included():
    listed = yaml.safe_load((ROOT / "grafana/kustomization.yaml").read_text(encoding="utf-8"))["configMapGenerator"]
    files = {f"dashboards-es/{file.name}" for file in (ROOT / "grafana/dashboards-es").glob("*.json")}
    assert {file for board in listed for file in board["files"]} == files


def test_the_images_are_targets_of_the_dockerfile():
    targets = {line.split()[-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")}
    used = {pod(owner)["containers"][0]["image"].removeprefix("aforo-") for owner in (*DEPLOYMENTS, *JOBS)}
    assert used <= targets


def test_workers_are_never_removed_because_sqs_does_not_answer():
    fallback = the("ScaledObject", "worker")["spec"]["fallback"]
    assert fallback["behavior"] == "currentReplicasIfHigher"
