"""Collector: read execution records from workers over HTTP and store them in the database.

It reads instrumented workers: workers of an app in which the library `aforo` records each execution.
"""
