"""ffmpeg and ffprobe as Aforo's programs run them.

The modules cover the required version, the sandbox, the probe of untrusted files, the progress and the failure reasons.
"""
