-- Videos that changed since the last reading: a range of the index on updated_at.
SELECT {id}, {run_id}, {state}, {reason}, {uploaded_at}, {started_at}, {updated_at}, {intended_at}
FROM {videos}
WHERE {updated_at_column} >= {since}
