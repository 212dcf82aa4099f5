"""Reports on runs: text for the terminal, one HTML file that opens offline, and scenario 2's document."""
