"""The dashboards as Python source: `python -m grafana` writes the JSON that Grafana is provisioned with."""
