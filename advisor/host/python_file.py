"""The constants of a server's configuration in Python, read without running it."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from advisor.host.commandline import as_scalar
from advisor.host.options import GUNICORN_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Scalar

STAR = "*"  # in the names whose value is computed: whatever a star import brings
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def constants(
    source: str | bytes, names: frozenset[str] = GUNICORN_SETTINGS
) -> tuple[dict[str, Scalar], frozenset[str]]:
    r"""The settings assigned at the top of the file, and those whose value is computed.

    Only literals count; what is assigned more than once counts by its last assignment, what
    a branch or a star import may change is computed. `names` are the settings there are.
    `SyntaxError` or `ValueError` where it is no Python.

    >>> constants("workers = 2\nthreads = int('4')\n")
    ({'workers': 2}, frozenset({'threads'}))
    """
    known: dict[str, Scalar] = {}
    computed: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the style of somebody else's file
        statements = ast.parse(source).body
    for statement in statements:
        for name, value in _assigned(statement, names):
            known.pop(name, None)
            computed.add(name)
            try:
                known[name] = as_scalar(ast.literal_eval(value)) if value else _computed()
            except (ValueError, TypeError, MemoryError, RecursionError):
                continue
            computed.remove(name)
    return known, frozenset(computed)


def _assigned(
    statement: ast.stmt, settings: frozenset[str]
) -> Iterator[tuple[str, ast.expr | None]]:
    """The settings that a statement gives, with the value where it is plain to see."""
    match statement:
        case ast.Assign(targets=targets, value=value) if all(
            isinstance(target, ast.Name) for target in targets
        ):
            names = [(target.id, value) for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            names = [(name, value)]
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            yield STAR, None
            return
        case _ if isinstance(statement, DEFINITIONS):
            return
        case _:
            yield from ((name, None) for name in _stored(statement) if name in settings)
            return
    yield from ((name, value) for name, value in names if name in settings)


def _stored(node: ast.AST) -> Iterator[str]:
    """Names that a statement may bind in the file's own scope."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITIONS):
            continue
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif isinstance(child, ast.alias):
            yield (child.asname or child.name).partition(".")[0]
        yield from _stored(child)


def _computed() -> Scalar:
    raise ValueError
