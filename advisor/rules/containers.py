"""Whether the limits of a process are a container's, told by where they were read. Pure."""

from __future__ import annotations

import re

# The groups that container runtimes make; and a limit at the root of cgroup v2, where a host has
# none: only inside a container is somebody's group the root (cgroups(7), cgroup namespaces).
_CONTAINER = re.compile(
    r"/kubepods[/.-]|/lxc(?:/|\.payload)"
    r"|/(?:docker|libpod|crio|cri-containerd)(?:/|-[0-9a-f]+\.scope)"
    r"|/sys/fs/cgroup/(?:cpu|memory)\.max(?= |$)"
)


def is_container(source: str) -> bool:
    """Whether a limit's source, or text that names it, is one that only a container has.

    >>> is_container("/sys/fs/cgroup/memory.max"), is_container("/proc/meminfo")
    (True, False)
    """
    return bool(_CONTAINER.search(source))
