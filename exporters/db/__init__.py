"""Database exporter: exact values per run, updated by reading only changed rows (docs/adr/0008).

`source` reads the changed rows on each scrape. `run_aggregates` keeps counts and sums per run. `families` makes
metric families of the counts and sums.

Each row below has an SQL statement, the method of `Reader` that executes the statement, and the metric families that
use its result. `_status` is short for `aforo_run_status`, and so on. If a statement fails, the scrape has
`aforo_exporter_collector_success{collector="db"}` with the value 0, and for at most 15 s the result of the scrape
before (see `DatabaseSource.fetch`).

| statement                  | method of `Reader`     | metric families                                             |
|----------------------------|------------------------|-------------------------------------------------------------|
| `runs_newest`              | `newest_runs`          | `aforo_run_info`, `_status`, `_expected_videos`,            |
|                            |                        | `_offered_videos_per_second`, `_verdict`, `_validity_info`, |
|                            |                        | `_capacity_videos_per_minute`, `aforo_runs`                 |
| `runs_environment`         | `newest_runs`          | labels `app` and `queue` of `aforo_run_info`                |
| `runs_rest`                | `statuses_of_rest`     | `aforo_runs`                                                |
| `videos_changed`           | `changed_videos`       | same families as `videos_of_run` and `videos_rest`          |
| `videos_live`              | `live_videos`          | same families as `videos_changed`, and                      |
|                            |                        | `aforo_videos_oldest_waiting_timestamp_seconds`             |
| `videos_live_of_run`       | `live_videos_of`       | same families as `videos_live`, but for one run             |
| `videos_of_run`            | `groups_of`            | `aforo_run_videos`, `_failed_videos`, `_videos_in_window`,  |
|                            |                        | `_total_{response,queue_wait,service}_seconds`,             |
|                            |                        | `_max_lateness_seconds`, `_window_*`, and `aforo_videos*`   |
| `videos_rest`              | `groups_of_rest`       | `aforo_videos`, `aforo_videos_total_*_seconds`              |
| `videos_processing`        | `processing`           | `aforo_run_videos`, `aforo_videos` (uploaded or processing) |
| `executions_changed`       | `changed_executions`   | same families as `executions_of_run`                        |
| `executions_recent_of_run` | `recent_executions_of` | none: used so that no execution counts twice                |
| `executions_of_run`        | `executions_of`        | `aforo_run_executions`, `_total_stage_seconds`,             |
|                            |                        | `_total_ffmpeg_cpu_seconds`                                 |
| `executions_lost`          | `lost_executions`      | `aforo_run_executions`                                      |
| `runs_active`              | `has_active_run`       | none: the SQS exporter polls faster while a run is active   |
| `waiting_oldest`           | `oldest_waiting`       | none: the SQS exporter makes a metric of the result         |
"""
