#!/usr/bin/python
# ruff: noqa: EXE001, PTH207 - found by its folder; paths are bytes
"""Gather what a host is: its files of /proc, /sys and /etc, and what its programs say.

Ansible carries this to the host, runs it and removes it: the standard library alone, nothing is
changed, installed or left. It decides nothing: the controller lays the files out as a copy of the
host and reads them as `advisor inspect` reads its own. What is no business of it stays where it
is: other programs' command lines, all but a few variables of an environment, the values of
options that hold a secret, and of nginx's files all but the modules that they load.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import zlib

from ansible.module_utils.advisor_copy import Copy
from ansible.module_utils.advisor_programs import answers
from ansible.module_utils.advisor_servers import environment, processes
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: advisor_gather
short_description: Gather what a host is, without installing anything on it
description: Reads files and asks installed programs for their versions; changes nothing.
options:
  virtualenv:
    description: The app's virtual environment, where no server that runs shows it.
    type: path
author: The authors of advisor
"""
RETURN = """
gathered:
  description: JSON (advisor/gathered/1), compressed by zlib, as base64.
  returned: always
  type: str
"""

SCHEMA = "advisor/gathered/1"
TOPOLOGY = "/sys/devices/system/cpu/cpu[0-9]*/topology"
MACHINE = (
    "/etc/os-release",
    "/etc/sysctl.d/90-*.conf",
    "/usr/lib/os-release",
    "/proc/meminfo",
    "/proc/sys/fs/file-max",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/tcp_fin_timeout",
    "/proc/sys/net/ipv4/tcp_max_syn_backlog",
    "/proc/sys/net/ipv4/tcp_migrate_req",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/smt/active",
    f"{TOPOLOGY}/core_cpus_list",
    f"{TOPOLOGY}/thread_siblings_list",
    f"{TOPOLOGY}/physical_package_id",
    f"{TOPOLOGY}/core_id",
    "/sys/class/net/*/flags",
    "/sys/class/net/*/operstate",
    "/sys/class/net/*/speed",
)


def machine(copy: Copy) -> None:
    """The machine, its kernel and its network interfaces."""
    for pattern in MACHINE:
        for path in sorted(glob.glob(pattern)):
            copy.file(path)
    for path in glob.glob("/sys/class/net/*/device"):
        copy.folder(path)
    copy.files["/proc/sys/kernel/arch"] = os.uname().machine


def gathered(virtualenv: str | None = None) -> dict:
    """Everything, as one mapping of plain data."""
    copy = Copy()
    machine(copy)
    processes(copy)
    if virtualenv:
        environment(copy, os.path.normpath(virtualenv))
    said = answers(copy)
    return {
        "schema": SCHEMA,
        "files": copy.files,
        "links": copy.links,
        "folders": sorted(copy.folders),
        "answers": said,
        "denied": sorted(copy.denied),
    }


def packed(data: dict) -> str:
    """Plain data as one word: what a log of the connection shows is not for reading."""
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


def main() -> None:
    """As Ansible calls it."""
    module = AnsibleModule({"virtualenv": {"type": "path"}}, supports_check_mode=True)
    module.exit_json(changed=False, gathered=packed(gathered(module.params["virtualenv"])))


if __name__ == "__main__":
    main()
