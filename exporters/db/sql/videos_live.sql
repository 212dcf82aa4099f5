-- Every video that is not final or became so lately: read once per full count.
SELECT {id}, {run_id}, {state}, {reason}, {uploaded_at}, {started_at}, {updated_at}, {intended_at}
FROM {videos}
WHERE {state} NOT IN :final OR {updated_at_column} >= {since}
