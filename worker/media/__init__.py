"""Transcoding of a video: profiles and the verified transcode."""
