"""Reports on runs: terminal text, one HTML file that opens offline, and the scenario's document."""
