"""The scenario's table: which runs fill a cell, and the table as text."""
