"""ffmpeg and ffprobe as Aforo's programs run them.

The modules are the requirement, the sandbox, the guarded probe, the progress and the failure reasons.
"""
