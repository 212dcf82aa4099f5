"""Grafana dashboards as Python source. `python -m grafana` writes their JSON files.

The modules:

1. `board` and `panel` have the types that describe a dashboard. `boards` describes our dashboards with them. `wording`
   has the names and colours of label values.
2. `dashboard_json` turns a description into Grafana's JSON. `panel_options` and `fields` make parts of this JSON.
3. `dashboard_files` writes the JSON files, and `check` verifies them.
"""
