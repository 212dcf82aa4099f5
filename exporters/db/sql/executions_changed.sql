-- Executions that ended since the last reading: a range of the index on ended_at.
SELECT id, run_id, outcome, ended_at, claim_seconds, fetch_seconds, probe_seconds, transcode_seconds,
       publish_seconds, finish_seconds, ffmpeg_cpu_seconds
FROM executions
WHERE ended_at >= :since AND outcome IS NOT NULL
