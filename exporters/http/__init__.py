"""HTTP server of the exporters.

`server` accepts connections. `asgi` passes their requests to the application. `application` answers /metrics, /healthz
and /.
"""
