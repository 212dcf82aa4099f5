-- What a run's environment recorded at its start: read once per run, because it is long.
SELECT id, environment
FROM runs
WHERE id IN :runs
