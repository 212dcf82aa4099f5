-- The oldest waiting task that SQS has accepted: a range of the index on run_id and state.
SELECT MIN({sent_at})
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :uploaded
