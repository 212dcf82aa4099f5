-- The newest runs. `rate_per_minute` and `window_seconds` are null for a burst. The columns of the analysis are null
-- before the run's first report.
SELECT id, status, mode, size_label, concurrency, nodes, slots, profile, count, rate_per_minute, window_seconds,
       created_at, started_at, capacity_per_minute, capacity_low_per_minute, capacity_high_per_minute, stability, bottleneck,
       validity, validity_reasons
FROM runs
ORDER BY created_at DESC, id DESC
LIMIT :limit
