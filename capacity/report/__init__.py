"""Reports: text for the terminal, one HTML file that opens offline, the scenario's document."""
