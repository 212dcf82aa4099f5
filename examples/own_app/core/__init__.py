"""Settings and database tables, which the web service and the worker share."""
