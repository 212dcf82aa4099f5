"""Dashboards drawn as SVG, on their own grid and with the answers of a live Prometheus to their queries.

Grafana's looks are imitated, not copied: sizes, colours, words and figures are the dashboard's, the strokes are ours.
"""
