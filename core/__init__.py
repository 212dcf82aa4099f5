"""Code shared by all programs. It imports `aforo` and nothing else of ours."""

VERSION = "0.1.0"
