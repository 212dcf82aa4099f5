"""SQS exporter: a background thread polls SQS, and scrapes return the last values from memory.

The modules:

- `source` schedules the polls and renders the values of the last poll.
- `queue_watcher` finds the queues and reads their attributes.
- `active_runs` reads from Aforo's database whether a run is active. During a run, polls are more frequent.
- `oldest_message` reads from Aforo's database when the oldest waiting message was sent. SQS does not report it.
"""
