"""The grammar of the environment files that we write: the part that nobody reads otherwise.

systemd, a shell and dotenv files agree on comments, blank lines and NAME=VALUE of plain words
(systemd.exec(5), EnvironmentFile=). Quotes, escapes and continued lines are where they differ.
"""

from __future__ import annotations

import re

# Line and value of each variable; what is wrong, with its line.
Assignments = dict[str, tuple[int, str]]
Problems = list[tuple[int, str]]

_ASSIGNMENT = re.compile(r"([A-Z_][A-Z0-9_]*)=([A-Za-z0-9._@+/:,=*-]*)")


def assignments(text: str) -> tuple[Assignments, Problems]:
    r"""The variables of a file by name, and the lines that are something else.

    >>> assignments("# why\nA=1\nb\n")
    ({'A': (2, '1')}, [(3, 'only NAME=VALUE, its value one plain word, may stand here')])
    """
    found: Assignments = {}
    problems: Problems = []
    for number, line in enumerate(text.split("\n"), 1):
        match = _ASSIGNMENT.fullmatch(line)
        if line.startswith("#") or not line:
            if line.endswith("\\"):
                problems.append((number, "systemd reads the next line as a part of this comment"))
        elif match is None:
            problems.append((number, "only NAME=VALUE, its value one plain word, may stand here"))
        elif match[1] in found:
            problems.append((number, f"{match[1]} is there twice"))
        elif not match[2]:
            problems.append((number, f"{match[1]} has no value"))
        else:
            found[match[1]] = (number, match[2])
    return found, problems
