-- The oldest video of some runs whose task nobody has taken: a range of the index on run_id and state for each run.
SELECT MIN(uploaded_at)
FROM videos
WHERE run_id IN :runs AND state = 'uploaded'
