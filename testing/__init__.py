"""Tools for tests and benchmarks: polling, ports, services, fakes, proxies and imposed limits."""
