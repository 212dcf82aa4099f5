"""HTTP server of the exporters.

`server` accepts connections. `application` answers /metrics, /healthz and /.
"""
