"""Pure mathematics: what a configuration of an app can do, and what it takes.

Standard library only; nothing here reads a file, a clock or a process.
"""
