"""Grafana dashboards as Python source. `python -m grafana` writes their JSON files.

1. `boards` describes the dashboards with the types of `board` and `panel`, and the names of `wording`.
2. `dashboard_json` turns the boards into Grafana's JSON, with `panel_options` and `fields` for each panel.
3. `dashboard_files` writes the JSON, and `check` verifies it.
"""
