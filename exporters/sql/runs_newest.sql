-- The newest runs; `rate_per_minute` and `window_seconds` are null for a burst.
SELECT id, status, mode, size_label, concurrency, slots, profile, count, rate_per_minute, window_seconds,
       created_at, started_at
FROM runs
ORDER BY created_at DESC, id DESC
LIMIT :limit
