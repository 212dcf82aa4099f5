"""Reads the executions of instrumented workers over HTTP and stores them in Aforo's database."""
