"""What `advisor verify` asks of each host: a pytest-testinfra suite over a rendered tree.

It runs by itself too: `pytest --advisor-tree DIR --hosts ansible://web1 --ansible-inventory
inventory.yml` on this folder. Every expectation is read from the tree, never computed again; every
answer is read from the host. A function's docstring is the words of its check. A check that a host
does not let us make is skipped, with the reason.
"""
