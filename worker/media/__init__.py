"""Transcode in the worker: choose the number of threads, call ffmpeg and verify its output."""
