-- The statements of exporters/db/reader.py. The line `-- name: …` begins a statement. A name in braces is replaced by
-- that of the user's own table, see exporters/db/statements.py. The reader takes columns by name, so their order does
-- not matter.

-- name: runs_newest
-- The newest runs. `rate_per_minute` and `window_seconds` are null for a burst. The columns of the analysis are null
-- before the run's first report.
SELECT id, status, mode, size_label, concurrency, nodes, slots, profile, count AS expected, rate_per_minute,
       window_seconds, created_at, started_at, capacity_per_minute AS capacity, capacity_low_per_minute AS capacity_low,
       capacity_high_per_minute AS capacity_high, stability, bottleneck, validity, validity_reasons
FROM runs
ORDER BY created_at DESC, id DESC
LIMIT :limit

-- name: runs_environment
-- What a run's environment recorded at its start: read once per run, because it is long.
SELECT id, environment
FROM runs
WHERE id IN :runs

-- name: runs_rest
-- All other runs, by status: read once per full count.
SELECT status, COUNT(*) AS runs
FROM runs
WHERE id NOT IN :runs
GROUP BY status

-- name: runs_active
-- Runs without a final status, with the last sign of life of their injector.
SELECT COALESCE(heartbeat_at, created_at) AS heartbeat_at, rate_per_minute
FROM runs
WHERE status NOT IN :ended

-- name: videos_changed
-- Videos that changed since the last reading: a range of the index on updated_at.
SELECT {id} AS id, {run_id} AS run_id, {state} AS state, {reason} AS reason, {uploaded_at} AS uploaded_at,
       {started_at} AS started_at, {updated_at} AS updated_at, {intended_at} AS intended_at
FROM {videos}
WHERE {updated_at_column} >= {since}

-- name: videos_live
-- Videos that are not final, or became final since the last reading. Read once per full count.
SELECT {id} AS id, {run_id} AS run_id, {state} AS state, {reason} AS reason, {uploaded_at} AS uploaded_at,
       {started_at} AS started_at, {updated_at} AS updated_at, {intended_at} AS intended_at
FROM {videos}
WHERE {state} NOT IN :final OR {updated_at_column} >= {since}

-- name: videos_live_of_run
-- The same for one run, for a recount of that run.
SELECT {id} AS id, {run_id} AS run_id, {state} AS state, {reason} AS reason, {uploaded_at} AS uploaded_at,
       {started_at} AS started_at, {updated_at} AS updated_at, {intended_at} AS intended_at
FROM {videos}
WHERE {run_id} = :run_id AND ({state} NOT IN :final OR {updated_at_column} >= {since})

-- name: videos_of_run
-- One run's videos by state and reason, summed by the database.
SELECT {state} AS state, {reason} AS reason, COUNT(*) AS videos,
       SUM(CASE WHEN {updated_at} <= :window_end THEN 1 ELSE 0 END) AS in_window,
       SUM({updated_at} - {uploaded_at}) AS response_seconds, SUM({started_at} - {uploaded_at}) AS queue_wait_seconds,
       SUM({updated_at} - {started_at}) AS service_seconds, MIN({uploaded_at}) AS first_upload,
       MAX({updated_at}) AS last_update, MAX({uploaded_at} - {intended_at}) AS max_lateness
FROM {videos}
WHERE {run_id} = :run_id
GROUP BY {state}, {reason}

-- name: videos_rest
-- Videos without a run, or of a run that is not among the newest. Read once per full count.
SELECT {state} AS state, NULL AS reason, COUNT(*) AS videos, 0 AS in_window,
       SUM({updated_at} - {uploaded_at}) AS response_seconds, SUM({started_at} - {uploaded_at}) AS queue_wait_seconds,
       SUM({updated_at} - {started_at}) AS service_seconds, MIN({uploaded_at}) AS first_upload,
       MAX({updated_at}) AS last_update, NULL AS max_lateness
FROM {videos}
WHERE {run_id} NOT IN :runs
GROUP BY {state}

-- name: videos_processing
-- Videos in work. Claiming and returning a video do not change updated_at, so `videos_changed` misses both.
SELECT {id} AS id
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :processing

-- name: executions_changed
-- Executions that ended since the last reading: a range of the index on ended_at.
SELECT id, run_id, outcome, ended_at, claim_seconds, fetch_seconds, probe_seconds, transcode_seconds,
       publish_seconds, finish_seconds, ffmpeg_cpu_seconds
FROM executions
WHERE ended_at >= :since AND outcome IS NOT NULL

-- name: executions_recent_of_run
-- Executions of one run that ended since the last reading, for a recount of that run.
SELECT id, run_id, outcome, ended_at, claim_seconds, fetch_seconds, probe_seconds, transcode_seconds,
       publish_seconds, finish_seconds, ffmpeg_cpu_seconds
FROM executions
WHERE run_id = :run_id AND ended_at >= :since AND outcome IS NOT NULL

-- name: executions_of_run
-- One run's ended executions by outcome, with the sums of their timings.
SELECT outcome, COUNT(*) AS executions, SUM(claim_seconds) AS claim_seconds, SUM(fetch_seconds) AS fetch_seconds,
       SUM(probe_seconds) AS probe_seconds, SUM(transcode_seconds) AS transcode_seconds,
       SUM(publish_seconds) AS publish_seconds, SUM(finish_seconds) AS finish_seconds,
       SUM(ffmpeg_cpu_seconds) AS ffmpeg_cpu_seconds
FROM executions
WHERE run_id = :run_id AND outcome IS NOT NULL AND ended_at IS NOT NULL
GROUP BY outcome

-- name: executions_lost
-- Executions whose process died at an unknown time: they have an outcome but no end. Uses the index on ended_at.
SELECT run_id, outcome, COUNT(*) AS executions
FROM executions
WHERE ended_at IS NULL AND outcome IS NOT NULL
GROUP BY run_id, outcome

-- name: waiting_oldest
-- The oldest waiting task that SQS has accepted: a range of the index on run_id and state.
SELECT MIN({sent_at}) AS sent_at
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :uploaded
