"""Transcoding in the worker: number of threads, the run of ffmpeg, and verification of its output."""
