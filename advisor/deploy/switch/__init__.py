"""The switch: the program on a target that puts a tree in place, and takes it back.

It runs where only Python's standard library is (3.9 or newer), from one file, detached from every
connection: so it imports nothing but that and itself, by relative imports.
"""
