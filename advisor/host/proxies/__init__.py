"""What nginx and Caddy do with a request: which app stands behind an address of theirs."""
