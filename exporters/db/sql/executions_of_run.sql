-- One run's ended executions by outcome, with the sums of their timings.
SELECT outcome, COUNT(*), SUM(claim_seconds), SUM(fetch_seconds), SUM(probe_seconds), SUM(transcode_seconds),
       SUM(publish_seconds), SUM(finish_seconds), SUM(ffmpeg_cpu_seconds)
FROM executions
WHERE run_id = :run_id AND outcome IS NOT NULL AND ended_at IS NOT NULL
GROUP BY outcome
