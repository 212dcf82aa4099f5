"""Records of a worker's executions: assembled in its main process, kept in a spool, read over HTTP."""
