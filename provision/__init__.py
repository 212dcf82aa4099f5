"""Create what a stack needs before its programs start.

These are the queue, the bucket, the tables and the read-only database user.
"""
