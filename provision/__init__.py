"""Create the queue, the bucket, the tables and the read-only database user of a stack.

The programs of the stack start afterwards.
"""
