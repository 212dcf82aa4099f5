-- Videos in work. Claiming and returning a video do not change updated_at, so `videos_changed.sql` misses both.
SELECT {id}
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :processing
