-- The same for one run, for a recount of that run.
SELECT {id}, {run_id}, {state}, {reason}, {uploaded_at}, {started_at}, {updated_at}, {intended_at}
FROM {videos}
WHERE {run_id} = :run_id AND ({state} NOT IN :final OR {updated_at_column} >= {since})
