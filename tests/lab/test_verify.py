"""`advisor verify` against real hosts: all held after an apply, and each way to break one seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from advisor.documents import Recommendation
from advisor.files import validate
from advisor.render import render
from advisor.render.tree import write
from tests.lab.trees import CASE, INTENT, MANAGED, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab


@pytest.fixture(scope="module")
def host(lab: Lab, release: str) -> Host:
    host = lab.boot(release, name="web1")
    host.run("useradd --system --user-group shop && systemctl start nginx")
    return host


def rendered(host: Host, folder: Path, settings: dict[str, Any], **intent: Any) -> Path:
    """The shop, rendered for this very host, with what its settings were computed from."""
    data = yaml.safe_load(CASE.read_text())
    data["app"]["module"] = INTENT["app.module"]
    for key, value in (INTENT | intent).items():
        data["intent"][key] = {"value": value, "from": "config"}
    data["components"] |= {
        name: {"version": host.run(command).out.strip()} for name, command in VERSIONS.items()
    }
    known = {setting["id"]: setting for setting in data["settings"]}
    inputs = {"cpu.effective": int(host.run("nproc").out), "memory_budget_bytes": 10**8}
    known["gunicorn.workers"] |= {"inputs": inputs}
    for id_, value in settings.items():
        known[id_] = known["gunicorn.workers"] | {"id": id_, "value": value}
    data["settings"] = [*known.values()]
    data["prediction"]["memory_bytes"] = {"value": 10**8, "low": 10**7, "high": 4 * 10**8}
    write(render(validate(Recommendation, data, name="case")), folder)
    return folder


@pytest.fixture(scope="module")
def tree(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    manage = [*MANAGED, "sysctl"]
    folder = tmp_path_factory.mktemp("verify") / "deploy"
    return rendered(host, folder, {"sysctl.somaxconn": 5000}, manage=manage)


@pytest.fixture(scope="module")
def inventory(lab: Lab, host: Host, tree: Path) -> Path:
    """The tree is applied to the host of this inventory."""
    inventory = lab.inventory([host])
    lab.ansible("advisor", "apply", tree, "-i", inventory)
    return inventory


def verified(lab: Lab, tree: Path, inventory: Path, *words: str | Path) -> tuple[int, list[Any]]:
    done = lab.ansible("advisor", "verify", tree, "-i", inventory, "--json", *words, check=False)
    assert "Traceback" not in done.err
    assert done.out, done.err
    return done.code, json.loads(done.out)["checks"]


def lines(checks: list[Any], status: str) -> list[str]:
    return [f"{one['check']}: {one['why']}" for one in checks if one["status"] == status]


def test_all_holds_after_an_apply(lab: Lab, tree: Path, inventory: Path, tmp_path: Path) -> None:
    code, checks = verified(lab, tree, inventory, "--junit", tmp_path / "junit.xml")
    assert lines(checks, "failed") == []
    assert code == 0
    # Controllers that nspawn keeps from its systemd here.
    assert [one for one in lines(checks, "not_run") if "no such controller" not in one] == []
    held = {one["check"] for one in checks if one["status"] == "held"}
    assert "gunicorn: has as many live workers as rendered" in held
    assert "nginx.service nginx/shop.conf: the processes are younger than the file" in held
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert int(suite.attrib["tests"]) == len(checks)
    assert suite.attrib["failures"] == suite.attrib["errors"] == "0"


def test_an_admin_needs_no_more_than_sudo(
    lab: Lab, host: Host, tree: Path, inventory: Path
) -> None:
    assert inventory
    _, as_root = verified(lab, tree, inventory)
    _, as_admin = verified(lab, tree, lab.inventory([host], user="admin"))
    assert as_admin == as_root


PEM = serialization.Encoding.PEM

# What is done to the host, what is then said, how it is undone. What is done together does not
# hide one another.
HARM = {
    "the app": (
        (
            "echo '{\"health_status\": 503}' >/srv/shop/knobs.json",
            "http://shop.example/healthz: answers through the proxy: it answers 503",
            "rm /srv/shop/knobs.json",
        ),
        # Not `systemctl disable`: of a unit that is a link it removes the unit too.
        (
            "mv /etc/systemd/system/multi-user.target.wants/shop.service /root/wants",
            "shop.service: starts at boot: it is linked",
            "mv /root/wants /etc/systemd/system/multi-user.target.wants/shop.service",
        ),
        (
            "kill -TTOU $(systemctl show -P MainPID shop)",
            "gunicorn: has as many live workers as rendered: 1 live, 2 rendered",
            "kill -TTIN $(systemctl show -P MainPID shop)",
        ),
        (
            "prlimit --pid $(systemctl show -P MainPID shop) --nofile=1000:16384",
            "shop.service LimitNOFILE: holds for the live processes: process",
            "prlimit --pid $(systemctl show -P MainPID shop) --nofile=16384:16384",
        ),
        (
            "systemctl set-property --runtime shop.service TasksMax=99 MemoryHigh=100M",
            "shop.service MemoryHigh: is what systemd has loaded: systemd has 104857600, the tree",
            "rm -r /run/systemd/system.control; systemctl daemon-reload",
        ),
        (
            (
                "f=/etc/advisor/current/shop/gunicorn/gunicorn.conf.py; touch -r $f /root/was;"
                " touch -d 'now + 1 hour' $f"
            ),
            "shop.service gunicorn/gunicorn.conf.py: the processes are younger than the file: ",
            "touch -r /root/was /etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
        ),
    ),
    "files": (
        (
            (
                "cp -p /etc/advisor/current/shop/nginx/shop.conf /root/kept;"
                " echo '# mine' >>/etc/advisor/current/shop/nginx/shop.conf"
            ),
            "/etc/nginx/conf.d/shop.conf: has the bytes of the tree: its bytes are others",
            "cp -p /root/kept /etc/advisor/current/shop/nginx/shop.conf",
        ),
        (
            "chmod 0666 /etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
            "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py: has the owner, group and mode",
            "chmod 0640 /etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
        ),
        (
            "chmod 0755 /var/lib/advisor",
            "shop: the switch's folders have the rights that keep others out: /var/lib",
            "chmod 0700 /var/lib/advisor",
        ),
        (
            "true",
            "/etc/nginx/conf.d/shop.conf: is part of nginx's configuration, as rendered: nginx re",
            "true",
        ),
        ("true", "shop: nothing on the host was edited since: ", "true"),
    ),
    "what it counts on": (
        (
            "sysctl -w net.core.somaxconn=1000",
            "net.core.somaxconn: is in force, or more than that for another app: the kernel has 1",
            "sysctl -w net.core.somaxconn=5000",
        ),
        (
            (
                "mkdir -p /run/systemd/system/shop.service.d;"
                " printf '[Service]\nEnvironment=GUNICORN_CMD_ARGS=--workers=2\n'"
                " >/run/systemd/system/shop.service.d/own.conf;"
                " systemctl daemon-reload; systemctl restart shop"
            ),
            "gunicorn: was started with the rendered configuration, and nothing overrides it: GUN",
            (
                "rm -r /run/systemd/system/shop.service.d; systemctl daemon-reload;"
                " systemctl restart shop"
            ),
        ),
        (
            "taskset -pc 0 $(systemctl show -P MainPID shop)",
            "cpu.effective: is what the settings were computed from: 1 CPUs now, the settings were",
            "true",
        ),
        (
            "curl -fsS -H 'Host: shop.example' 127.0.0.1/hold/400",
            "server: takes no more memory than predicted: ",
            "true",
        ),
    ),
    "the queue": (
        (
            (
                "sysctl -w net.core.somaxconn=1000; systemctl stop shop.service shop.socket;"
                " systemctl start shop.socket shop.service;"
                # Each worker listens anew once it serves.
                " for each in $(seq 40); do curl -fsS -H 'Host: shop.example' 127.0.0.1/pid; done;"
                " sysctl -w net.core.somaxconn=5000"
            ),
            "/run/shop/shop.sock: has the queue that the tree says, or the kernel allows: 1000 may",
            "systemctl stop shop.service shop.socket; systemctl start shop.socket shop.service",
        ),
    ),
    "the socket": (
        (
            "systemctl stop shop.socket shop.service",
            "shop.socket: is active: it is inactive",
            "systemctl start shop.socket shop.service",
        ),
    ),
    "nginx": (
        (
            "cd /etc/nginx/conf.d && mv shop.conf /root/link && cp /root/link shop.conf",
            "/etc/nginx/conf.d/shop.conf: leads to the current generation: it is /etc/nginx",
            "rm /etc/nginx/conf.d/shop.conf && mv /root/link /etc/nginx/conf.d/shop.conf",
        ),
        (
            "systemctl stop nginx",
            "80: something listens there: nothing does",
            "systemctl start nginx",
        ),
        (
            "echo 'nonsense;' >/etc/nginx/conf.d/other.conf",
            "/etc/nginx/conf.d/shop.conf: is part of nginx's configuration, as rendered: nginx re",
            "rm /etc/nginx/conf.d/other.conf",
        ),
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_was_broken_is_said(
    lab: Lab, host: Host, tree: Path, inventory: Path, harm: str
) -> None:
    for do, _, _ in HARM[harm]:
        host.run(do)
    host.run("systemctl daemon-reload")
    try:
        code, checks = verified(lab, tree, inventory)
    finally:
        for _, _, undo in reversed(HARM[harm]):
            host.run(undo)
        host.run("systemctl daemon-reload")
    failed = lines(checks, "failed")
    assert code == 1
    for _, said, _ in HARM[harm]:
        assert [one for one in failed if one.startswith(said)], (said, failed)


def test_all_holds_again(lab: Lab, tree: Path, inventory: Path) -> None:
    code, checks = verified(lab, tree, inventory)
    assert lines(checks, "failed") == []
    assert code == 0


def test_a_host_that_is_cut_off(lab: Lab, host: Host, tree: Path, inventory: Path) -> None:
    host.cut()
    try:
        code, checks = verified(lab, tree, inventory)
    finally:
        host.mend()
    assert code == 1
    assert [one.partition(":")[0] for one in lines(checks, "failed")] == ["shop"]
    assert all("does not answer" in one for one in lines(checks, "not_run"))


def put_certificate(host: Host, name: str, left: timedelta) -> None:
    """A certificate of ninety days for a name, as if most of them had gone by."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + left
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(PEM, form, serialization.NoEncryption())
    host.put("/etc/ssl/shop.key", secret, 0o600)
    host.put("/etc/ssl/shop.pem", made.public_bytes(PEM))


def test_tls_is_looked_at_as_a_client_meets_it(
    lab: Lab, hosts: Callable[..., Host], release: str, tmp_path: Path
) -> None:
    host = hosts(release)
    host.run("useradd --system --user-group shop && systemctl start nginx")
    put_certificate(host, "shop.example", timedelta(days=30))
    tls = {"tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}}
    settings = {"nginx.ssl_protocols": ["TLSv1.2", "TLSv1.3"]}
    tree = rendered(host, tmp_path / "deploy", settings, **tls)
    inventory = lab.inventory([host])
    lab.ansible("advisor", "apply", tree, "-i", inventory)
    code, checks = verified(lab, tree, inventory)
    assert (code, lines(checks, "failed")) == (0, [])
    held = {one["check"] for one in checks if one["status"] == "held"}
    assert {
        "TLSv1.2: is taken or refused as rendered",
        "TLSv1.3: is taken or refused as rendered",
        "TLSv1.1: is taken or refused as rendered",
        "shop.example: the certificate is for the domain",
        "shop.example: the certificate will be renewed in time",
        "https://shop.example/healthz: answers through the proxy",
    } <= held
    put_certificate(host, "other.example", timedelta(days=2))
    site = "/etc/advisor/current/shop/nginx/shop.conf"
    host.run(f"sed -i 's/ssl_protocols .*/ssl_protocols TLSv1.2;/' {site}; systemctl reload nginx")
    _, checks = verified(lab, tree, inventory)
    failed = lines(checks, "failed")
    assert "TLSv1.3: is taken or refused as rendered: it is refused" in failed
    for said in (
        "shop.example: the certificate is for the domain: it is for other.example",
        "shop.example: the certificate will be renewed in time: ",
    ):
        assert [one for one in failed if one.startswith(said)], failed


def test_caddy_runs_what_its_files_say(
    lab: Lab, hosts: Callable[..., Host], release: str, tmp_path: Path
) -> None:
    host = hosts(release)
    host.run("useradd --system --user-group shop")
    tree = rendered(host, tmp_path / "deploy", {}, proxy="caddy")
    inventory = lab.inventory([host])
    lab.ansible("advisor", "apply", tree, "-i", inventory, "--overwrite")
    code, checks = verified(lab, tree, inventory)
    assert (code, lines(checks, "failed")) == (0, [])
    check = "/etc/caddy/Caddyfile: runs what its files say"
    assert check in {one["check"] for one in checks if one["status"] == "held"}
    host.run("printf ':8123 {\n\trespond 200\n}\n' >>/etc/advisor/current/shop/caddy/Caddyfile")
    _, checks = verified(lab, tree, inventory)
    assert f"{check}: its files have changed since it loaded them" in lines(checks, "failed")
