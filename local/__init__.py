"""The native stack: the programs of Aforo under supervisord on this machine, without containers."""
