"""Documents as text for people: pure functions, 80 columns, no colour."""
