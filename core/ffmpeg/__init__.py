"""ffmpeg and ffprobe as our programs run them: requirement, sandbox, guarded probe, progress, failure reasons."""
