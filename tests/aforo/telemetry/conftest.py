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
    """The open channel of the metrics, in use by this process."""
    event_channel.use(metrics.open_channel())
    yield metrics.channel
    event_channel.use(None)
