"""Report: terminal, one HTML file that opens offline, document of the scenario."""
