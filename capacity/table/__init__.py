"""The scenario's table: the choice of the runs for each cell, and the table as text."""
