"""What every program must agree on; imports nothing else of ours."""
