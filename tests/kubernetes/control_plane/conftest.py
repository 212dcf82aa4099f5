"""A control plane for the session, and a fresh installation for each test."""

from __future__ import annotations

import boto3
import pytest

from testing.emulator import KEY, REGION
from testing.fault_proxy import FaultProxy
from testing.kubernetes.control_plane import running_control_plane
from testing.kubernetes.installation import Installation
from testing.kubernetes.overlay import Overlay
from testing.kubernetes.programs import missing_requirement, unbuilt

BUCKET = "aforo-videos"
#: what the settings of the manifests expect of the queue
VISIBILITY_SECONDS = 60
#: seconds between two computations of the number of replicas; Kubernetes' default is 15
AUTOSCALER_SECONDS = 5


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    reason = missing_requirement()
    if reason is not None:
        pytest.skip(reason)
    assert not unbuilt(), "`python -m testing.kubernetes --build` builds them, for longer than a test may take"
    with running_control_plane(tmp_path_factory.mktemp("control-plane"), AUTOSCALER_SECONDS) as running:
        yield running


@pytest.fixture
def installation(plane, emulator, sqs_queue, postgresql_url, tmp_path):
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    boto3.client("s3", endpoint_url=emulator, **keys).create_bucket(Bucket=BUCKET)
    settings = {
        "AFORO_WORKER_METRICS_HOST": "127.0.0.1",
        "AFORO_WORKER_BANDWIDTH_LIMITS": "none",
        "AFORO_WORKER_THREADS": "1",
        "AFORO_QUEUE_LONG_POLL_SECONDS": "1",
    }
    with FaultProxy(emulator) as proxy:
        overlay = Overlay(sqs_queue(VISIBILITY_SECONDS), proxy.url, settings)
        installed = Installation(plane, overlay, proxy, tmp_path / "my-overlay", postgresql_url)
        yield installed
        installed.clear()
