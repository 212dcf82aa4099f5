"""Test kit that tests and benchmarks share: polling, ports, services, fakes, proxies and limits."""
