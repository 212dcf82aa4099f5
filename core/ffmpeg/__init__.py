"""ffmpeg and ffprobe as Aforo's programs run them.

The modules cover the required version, the sandbox, the guarded probe, the progress and the failure reasons.
"""
