"""What every program must agree on; imports nothing else of ours."""

VERSION = "0.1.0"
