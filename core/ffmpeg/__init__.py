"""Run ffmpeg and ffprobe, and understand their results.

The modules check the installed version, read the properties of untrusted files, build the command lines, run both
programs in a sandbox, follow ffmpeg's progress, and find out why a video failed.
"""
