"""Grafana dashboards as Python source. `python -m grafana` writes their JSON files.

- `board` and `panel` have the types that describe a dashboard.
- `boards` describes our dashboards. `wording` has the names and colours of label values.
- `dashboard_json` turns a description into Grafana's JSON.
- `dashboard_files` writes the JSON files, and `check` verifies them.
"""
