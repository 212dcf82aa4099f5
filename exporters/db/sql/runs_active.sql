-- Runs without a final status, with the last sign of life of their injector.
SELECT COALESCE(heartbeat_at, created_at), rate_per_minute
FROM runs
WHERE status NOT IN :ended
