"""Fixtures of the capacity tests: a store, and settings without Prometheus or Grafana."""

from __future__ import annotations

import pytest

from core.settings import Settings
from tests.capacity.store import NO_SERVER, open_store


@pytest.fixture
def sessions(tmp_path):
    """Return sessions on an empty store, `store.db`."""
    return open_store(tmp_path / "store.db")


@pytest.fixture
def environment(tmp_path):
    """Return environment variables that name the store, without Prometheus or Grafana."""
    return {
        "AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "AFORO_RESULTS_PATH": str(tmp_path / "results"),
        "AFORO_PROMETHEUS_URL": NO_SERVER,
        "AFORO_GRAFANA_URL": NO_SERVER,
    }


@pytest.fixture
def settings(environment):
    """Return the settings of `environment`."""
    return Settings.from_env(environment)
