-- Executions whose process died: nobody knows when, so they have an outcome but no end. The index on ended_at has them.
SELECT run_id, outcome, COUNT(*)
FROM executions
WHERE ended_at IS NULL AND outcome IS NOT NULL
GROUP BY run_id, outcome
