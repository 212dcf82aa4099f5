"""Our reference worker: a Celery worker that transcodes videos and measures itself."""
