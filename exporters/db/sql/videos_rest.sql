-- Videos without a run, or of a run that is not among the newest. Read once per full count.
SELECT {state}, NULL, COUNT(*), 0,
       SUM({updated_at} - {uploaded_at}), SUM({started_at} - {uploaded_at}), SUM({updated_at} - {started_at}),
       MIN({uploaded_at}), MAX({updated_at}), NULL
FROM {videos}
WHERE {run_id} NOT IN :runs
GROUP BY {state}
