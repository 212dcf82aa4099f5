-- Executions whose process died at an unknown time: they have an outcome but no end. Uses the index on ended_at.
SELECT run_id, outcome, COUNT(*)
FROM executions
WHERE ended_at IS NULL AND outcome IS NOT NULL
GROUP BY run_id, outcome
