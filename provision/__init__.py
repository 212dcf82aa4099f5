"""Create what a stack needs before its programs start.

This is the queue, the bucket, the tables and the read-only database user.
"""
