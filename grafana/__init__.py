"""Grafana dashboards as Python source. `python -m grafana` writes their JSON files.

1. `boards` describes the dashboards. It uses the classes of `board` and `panel`. `wording` names the label values.
2. `dashboard_json` turns the boards into Grafana's JSON. `panel_options` and `fields` do this for parts of a panel.
3. `dashboard_files` writes the JSON, and `check` verifies it.
"""
