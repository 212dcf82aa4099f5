"""Result table: the choice of the runs for each cell, and the table as text in the scenario's format."""
