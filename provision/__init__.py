"""Create what a stack needs before its programs start: queue, bucket, tables, read-only database user."""
