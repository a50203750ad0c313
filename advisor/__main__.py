"""`python -m advisor`."""

from advisor.cli.main import run

run()
