-- One run's videos by state and reason, summed by the database.
SELECT {state}, {reason}, COUNT(*),
       SUM(CASE WHEN {updated_at} <= :window_end THEN 1 ELSE 0 END),
       SUM({updated_at} - {uploaded_at}), SUM({started_at} - {uploaded_at}), SUM({updated_at} - {started_at}),
       MIN({uploaded_at}), MAX({updated_at}), MAX({uploaded_at} - {intended_at})
FROM {videos}
WHERE {run_id} = :run_id
GROUP BY {state}, {reason}
