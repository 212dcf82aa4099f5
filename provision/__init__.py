"""Create what a stack needs before its programs start: queue, bucket, tables and the read-only database user."""
