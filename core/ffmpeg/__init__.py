"""Run ffmpeg and ffprobe in a sandbox, and read their results.

The modules check the installed version, probe files, build command lines, follow ffmpeg's progress, and find out why a
video failed.
"""
