"""Result table of the scenario: which runs fill each cell, and the table as text."""
