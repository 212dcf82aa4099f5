-- Videos that are not final, or became final since the last reading. Read once per full count.
SELECT {id}, {run_id}, {state}, {reason}, {uploaded_at}, {started_at}, {updated_at}, {intended_at}
FROM {videos}
WHERE {state} NOT IN :final OR {updated_at_column} >= {since}
