"""What worker classes cost on this host: a null app under each, loaded for a moment."""
