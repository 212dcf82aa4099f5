-- Executions of one run that ended since the last reading, for a recount of that run.
SELECT id, run_id, outcome, ended_at, claim_seconds, fetch_seconds, probe_seconds, transcode_seconds,
       publish_seconds, finish_seconds, ffmpeg_cpu_seconds
FROM executions
WHERE run_id = :run_id AND ended_at >= :since AND outcome IS NOT NULL
