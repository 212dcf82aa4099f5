"""Test kit for tests and benchmarks: polling, ports, services, fakes, proxies and limits."""
