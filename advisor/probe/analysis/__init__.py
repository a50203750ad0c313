"""From what was seen to the measurement document: pure functions of plain data."""
