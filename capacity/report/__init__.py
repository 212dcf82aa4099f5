"""Reports on runs: text for the terminal, one HTML file that opens offline, and the scenario's document."""
