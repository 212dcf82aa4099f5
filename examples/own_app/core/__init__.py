"""What the web service and the worker share."""
