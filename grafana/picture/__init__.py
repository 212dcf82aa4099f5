"""What a dashboard shows, as an SVG: its own queries asked of a live Prometheus, drawn on its own grid.

Grafana's looks are imitated, not copied: sizes, colours, words and figures are the dashboard's, the strokes are ours.
"""
