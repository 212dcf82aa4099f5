-- The oldest task of some runs that SQS has confirmed and nobody has taken: a range of the index on run_id and state.
SELECT MIN({sent_at})
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :uploaded
