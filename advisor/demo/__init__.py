"""The bundled apps, and the run that shows the whole job on them."""
