import pytest
from prometheus_client import CollectorRegistry

from aforo.telemetry import event_channel
from aforo.telemetry.worker_metrics import WorkerMetrics


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return WorkerMetrics(registry)


@pytest.fixture
def channel(metrics):
    """Return the open channel of the metrics, which this process uses."""
    event_channel.use(metrics.open_channel())
    yield metrics.channel
    event_channel.use(None)
