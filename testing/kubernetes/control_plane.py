"""Run a Kubernetes control plane on free ports of this machine.

KEDA scales the workers by the length of the queue. kwok plays the kubelet: it reports pods as running, although no
container runs. Nothing enforces a NetworkPolicy.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import yaml

from testing.kubernetes.certificates import create_certificate, create_key_pair
from testing.kubernetes.pod_stages import write_stages
from testing.kubernetes.programs import KEDA, PROMETHEUS_OPERATOR, program, source
from testing.polling import until
from testing.ports import free_port

START_SECONDS = 90.0
NODES = 4
NODE_SIZE = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
EXTERNAL_METRICS = "v1beta1.external.metrics.k8s.io"
DEFAULT_SYNC_SECONDS = 15


@dataclass(frozen=True)
class ControlPlane:
    """Access to a running control plane with all rights, by kubectl or by requests to its API server."""

    kubeconfig: Path
    port: int
    token: str

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl with these arguments, and return the ended process.

        `stdin` is the standard input of kubectl. Raise AssertionError if kubectl fails and `check` is True.
        """
        command = [program("kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        answer = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert not check or answer.returncode == 0, f"{' '.join(words)}: {answer.stderr}"
        return answer

    def request(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Send a request to the API server. Return the HTTP status and the JSON of the answer."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        trusted = ssl.create_default_context(cafile=self.kubeconfig.parent / "api/ca.crt")
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=10, context=trusted)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.load(answer)
        finally:
            connection.close()

    def get(self, *words: str, namespace: str = "aforo") -> Any:
        """Return an object, or a list of objects, as `kubectl get -o json` prints it."""
        return json.loads(self.kubectl("get", *words, "-n", namespace, "-o", "json").stdout)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Create or update the objects of these manifests with `kubectl apply`."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))


@contextmanager
def running_control_plane(folder: Path, autoscaler_seconds: int = DEFAULT_SYNC_SECONDS) -> Iterator[ControlPlane]:
    """Context manager: run a control plane with simulated nodes, and yield access to it.

    The data and logs of the control plane are in `folder`. The HorizontalPodAutoscaler computes the number of replicas
    every `autoscaler_seconds`.
    """
    token = secrets.token_hex(16)
    port = {name: free_port() for name in ("etcd", "peers", "api", "adapter")}
    plane = ControlPlane(folder / "kubeconfig", port["api"], token)
    _write_kubeconfig(plane)
    (folder / "tokens.csv").write_text(f"{token},admin,1,system:masters\n", encoding="utf-8")
    create_key_pair(folder / "accounts")
    create_certificate(folder / "api", "localhost")
    create_certificate(folder / "proxy", "front-proxy")
    create_certificate(folder / "keda", "localhost")
    write_stages(folder / "stages.yaml")
    with ExitStack() as running:

        def start(*command: str, **environment: str) -> None:
            running.enter_context(_process(folder, command, environment))

        start(*_etcd(port["etcd"], port["peers"]))
        start(*_api_server(port["etcd"], port["api"]))
        until(lambda: _succeeds(plane, "get", "namespace", "default"), "the API server answers", START_SECONDS, 0.5)
        _create_definitions(plane)
        start(*_controllers(plane, autoscaler_seconds))
        start(program("kube-scheduler"), f"--kubeconfig={plane.kubeconfig}", "--leader-elect=false", "--secure-port=0")
        start(*_kwok(plane))
        plane.apply(*_nodes())
        _start_keda(plane, port["adapter"], start)
        yield plane


@contextmanager
def _process(folder: Path, command: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[None]:
    """Run a program with its output in a file of its name. End it afterwards."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        process.kill()
        process.wait()


def _write_kubeconfig(plane: ControlPlane) -> None:
    cluster = {
        "server": f"https://127.0.0.1:{plane.port}",
        "certificate-authority": str(plane.kubeconfig.parent / "api/ca.crt"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": plane.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    plane.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")


def _etcd(port: int, peer_port: int) -> list[str]:
    url, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    listen = [f"--listen-client-urls={url}", f"--advertise-client-urls={url}", f"--listen-peer-urls={peers}"]
    cluster = [f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}"]
    return [program("etcd"), "--data-dir=data", "--unsafe-no-fsync", *listen, *cluster]


def _api_server(etcd_port: int, port: int) -> list[str]:
    accounts = [
        "--service-account-key-file=accounts/public.pem",
        "--service-account-signing-key-file=accounts/private.pem",
        "--service-account-issuer=https://aforo.test",
    ]
    # so that it may ask KEDA's adapter for metrics
    proxy = [
        "--requestheader-client-ca-file=proxy/ca.crt",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--proxy-client-cert-file=proxy/tls.crt",
        "--proxy-client-key-file=proxy/tls.key",
    ]
    where = [f"--etcd-servers=http://127.0.0.1:{etcd_port}", f"--secure-port={port}", "--bind-address=127.0.0.1"]
    rights = ["--token-auth-file=tokens.csv", "--authorization-mode=RBAC"]
    network = ["--service-cluster-ip-range=10.0.0.0/24"]
    tls = ["--tls-cert-file=api/tls.crt", "--tls-private-key-file=api/tls.key"]
    return [program("kube-apiserver"), *where, *network, *tls, *rights, *accounts, *proxy]


def _create_definitions(plane: ControlPlane) -> None:
    """Create the custom resource definitions of KEDA and of the Prometheus operator."""
    folders = (
        source(KEDA) / "config/crd/bases",
        source(PROMETHEUS_OPERATOR) / "example/prometheus-operator-crd",
    )
    for folder in folders:
        plane.kubectl("apply", "--server-side", "-f", str(folder))


def _controllers(plane: ControlPlane, autoscaler_seconds: int) -> list[str]:
    # these three manage the machines of a cloud
    without = "--controllers=*,-node-ipam-controller,-node-route-controller,-cloud-node-lifecycle-controller"
    options = [
        f"--kubeconfig={plane.kubeconfig}",
        "--service-account-private-key-file=accounts/private.pem",
        "--leader-elect=false",
        "--secure-port=0",
        f"--horizontal-pod-autoscaler-sync-period={autoscaler_seconds}s",
    ]
    return [program("kube-controller-manager"), without, *options]


def _kwok(plane: ControlPlane) -> list[str]:
    return [program("kwok"), f"--kubeconfig={plane.kubeconfig}", "--config=stages.yaml", "--manage-all-nodes"]


def _nodes() -> list[dict[str, Any]]:
    names = [f"node-{number}" for number in range(1, NODES + 1)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"capacity": NODE_SIZE, "allocatable": NODE_SIZE},
        }
        for name in names
    ]


def _start_keda(plane: ControlPlane, adapter_port: int, start: Any) -> None:
    """Start KEDA's operator and its adapter, and wait until the API server reads metrics from the adapter."""
    plane.kubectl("create", "namespace", "keda")
    plane.apply(*_keda_service(adapter_port))
    metrics, operator = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    identity = {
        "KUBECONFIG": str(plane.kubeconfig),
        "POD_NAMESPACE": "keda",
        "POD_NAME": "keda-operator",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
        "WATCH_NAMESPACE": "",
    }
    patches = ["--enable-apiservice-patching=false", "--enable-webhook-patching=false", "--leader-elect=false"]
    pages = [f"--metrics-bind-address={operator}", f"--health-probe-bind-address=127.0.0.1:{free_port()}"]
    service = f"--metrics-service-bind-address={metrics}"
    start(program("operator"), "--cert-dir=keda", service, *pages, *patches, **identity)
    kinds = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig", "lister-kubeconfig")
    access = [f"--{kind}={plane.kubeconfig}" for kind in kinds]
    tls = ["--tls-cert-file=keda/tls.crt", "--tls-private-key-file=keda/tls.key", "--client-ca-file=keda/ca.crt"]
    where = [f"--secure-port={adapter_port}", "--bind-address=127.0.0.1", f"--port={free_port()}"]
    # the name is that of the certificate
    source_of_metrics = f"--metrics-service-address={metrics.replace('127.0.0.1', 'localhost')}"
    start(program("adapter"), *access, *tls, *where, source_of_metrics, "--cert-dir=keda", **identity)
    until(lambda: _is_available(plane), "the API server reads metrics from KEDA", START_SECONDS, 0.5)


def _keda_service(adapter_port: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a service whose address is this machine, and the metrics API that it answers."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "keda-metrics-apiserver", "namespace": "keda"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": adapter_port}]},
    }
    registered = {
        "service": {"name": "keda-metrics-apiserver", "namespace": "keda", "port": adapter_port},
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": EXTERNAL_METRICS},
        "spec": registered,
    }
    return service, api


def _is_available(plane: ControlPlane) -> bool:
    conditions = plane.get("apiservice", EXTERNAL_METRICS).get("status", {}).get("conditions", [])
    return any(condition["type"] == "Available" and condition["status"] == "True" for condition in conditions)


def _succeeds(plane: ControlPlane, *words: str) -> bool:
    return plane.kubectl(*words, check=False).returncode == 0
