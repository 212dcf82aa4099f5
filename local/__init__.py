"""The native stack: processes under supervisord on this machine."""
