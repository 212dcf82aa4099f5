-- Claiming a video and giving it back leave updated_at alone, so the few claimed ones are asked for by name.
SELECT {id}
FROM {videos}
WHERE {run_id} IN :runs AND {state} IN :processing
