-- All other runs, by status: read once per full count.
SELECT status, COUNT(*)
FROM runs
WHERE id NOT IN :runs
GROUP BY status
