"""Prometheus exporters: one serves the runs and videos in the database, the other the SQS queues.

A scrape runs through these modules in this order:

1. `http.server` and `http.application` receive `GET /metrics`.
2. `exposition` calls the method `fetch` of each source of metrics. `faults` maps an error of `fetch` to a value of the
   label `reason`.
3. `db.source` reads the database. `sqs.source` returns the result of its last poll of the queues.
"""
