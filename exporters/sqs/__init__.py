"""SQS exporter: a background thread polls SQS, and scrapes return the last values from memory.

- `source` schedules the polls and renders their values.
- `queue_watcher` finds the queues and reads their attributes.
- `active_runs` reads from Aforo's database whether a run is active.
- `oldest_message` reads from Aforo's database when the oldest waiting message was sent.
"""
