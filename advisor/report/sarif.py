"""What `advisor check` found, as SARIF 2.1.0 for code scanning and editors.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, Errata 01:
sections 3.13 (log), 3.14 (run), 3.19 (driver), 3.27 (result), 3.29 (physical location).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(
    found: Mapping[str, Any], rules: Mapping[str, tuple[str, str]], version: str
) -> dict[str, Any]:
    """One run, with a result a problem; `rules` are each rule's meaning and what to do about it.

    A location is spelt as DIR was on the command line: code scanning takes a relative one to
    start at the top of the repository, where the command is given, and knows no other base.
    """
    ids = list(rules)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "advisor",
                        "version": version,
                        "rules": [_rule(id_, *rules[id_]) for id_ in ids],
                    }
                },
                "results": [
                    _result(problem, found["directory"], ids.index(problem["rule"]))
                    for problem in found["problems"]
                ],
            }
        ],
    }


def _rule(id_: str, means: str, remedy: str) -> dict[str, Any]:
    return {
        "id": id_,
        "shortDescription": {"text": means},
        "fullDescription": {"text": means},
        "help": {"text": remedy},
        "defaultConfiguration": {"level": "warning" if id_ == "not-run" else "error"},
    }


def _result(problem: Mapping[str, Any], directory: str, index: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(directory, problem["path"])}}
    if problem["line"]:
        place["region"] = {"startLine": problem["line"]}
    return {
        "ruleId": problem["rule"],
        "ruleIndex": index,
        "level": problem["level"],
        "message": {"text": problem["text"]},
        "locations": [{"physicalLocation": place}],
    }


def uri(directory: str, path: str) -> str:
    """A file of the folder as a URI reference.

    >>> uri("deploy/", "nginx/shop.conf"), uri(".", "a b"), uri("/srv/x", "hosts/web1/a")
    ('deploy/nginx/shop.conf', 'a%20b', 'file:///srv/x/hosts/web1/a')
    """
    joined = posixpath.normpath(posixpath.join(directory, path))
    return f"{'file://' if joined.startswith('/') else ''}{quote(joined)}"
