"""Our reference worker: a Celery worker that transcodes videos and serves metrics about itself."""
