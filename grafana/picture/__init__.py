"""Dashboards drawn as SVG, with the values that a live Prometheus returns for their queries.

Layout, sizes, colours, words and values are those of the dashboard. The drawing code is ours, so the pictures look
like Grafana but are not screenshots.
"""
