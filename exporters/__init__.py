"""Prometheus exporters for SQS and for the database."""
