"""Grafana dashboards as Python source. `python -m grafana` writes their JSON.

`boards` describes the dashboards with the types of `board` and `panel`, and the names of `wording`. `dashboard_json`
turns them into Grafana's JSON (`panel_options` and `fields` per panel), which `dashboard_files` writes and `check`
verifies.
"""
