"""The dashboards as Python source: `python -m grafana` writes the JSON that Grafana is provisioned with."""

import warnings

# The SDK advises the v2 schema, which Grafana's file provisioning does not read before 12.1 nor in 13.0.
warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
