"""Execution records of a worker: one record for each task that a slot ran.

The worker's main process assembles the records, keeps them on disk (the spool) and serves them over HTTP.
"""
