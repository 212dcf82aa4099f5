"""SQS exporter: a background thread polls SQS, and scrapes return the last values from memory.

1. `source` schedules the polls and renders the last reading.
2. `queue_watcher` discovers queues and reads their attributes concurrently.
3. `active_runs` reads from our database whether a run is active, because a run needs readings at short intervals.
4. `oldest_message` reads the send time of the oldest waiting message from our database. SQS does not report it.
"""
