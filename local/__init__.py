"""Native stack: all programs of Aforo on this machine, under supervisord and without containers."""
