from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe import address


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[FD00:EC2:0:0:0:0:0:254]",
        "[fd00:ec2::254%1]",
        "[fd00:ec2::254%25eth0]",
        "[fd20:ce::254]",
        "[fd00:c1::a9fe:a9fe]",
        "[fd00:42::42]",
        "[fe80::1]",
        "[fe80::1%lo]",
        "[fe80::a9fe:a9fe%25lo]",
        "[febf::1]",
        "169.254.169.254.",
        "169.254.43518.",
        "169.16689662",
        "0xa9.0xfe.0xa9.0xfe",
        "0XA9FEA9FE",
        "025177524776",
        "00000251.0376.0251.0376",
        "0xa9.254.0251.254",
        "[::FFFF:A9FE:A9FE]",
        "[0:0:0:0:0:ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[::ffff:100.100.100.200]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b::168.63.129.16]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:4136:e378:8000:63bf:5601:5601]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_metadata_and_link_local_are_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(GuardRefused) as caught:
        address.resolve(f"http://{host}/", remote=True, public=True)
    assert caught.value.exit_code == 2


@given(st.integers(0, 2**16 - 1))
def test_no_link_local_address_passes(low: int) -> None:
    for text in (f"169.254.{low >> 8}.{low & 255}", f"[fe80::{low:x}]"):
        with pytest.raises(GuardRefused):
            address.resolve(f"http://{text}:8000/", remote=True, public=True)


@given(st.ip_addresses())
def test_no_address_off_this_host_passes_without_its_flag(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    url = f"http://[{ip}]/" if ip.version == 6 else f"http://{ip}/"
    with contextlib.suppress(GuardRefused, TooLittleEvidence):
        assert address.resolve(url).is_loopback


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """No resolver can be made to lie without this."""
    answers = [
        (
            socket.AF_INET6 if ":" in each else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (each, 80, 0, 0) if ":" in each else (each, 80),
        )
        for each in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: answers)


@pytest.mark.parametrize(
    "address_",
    [
        "169.254.169.254",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "fd00:ec2::254%2",
        "64:ff9b::a9fe:a9fe",
    ],
)
@pytest.mark.parametrize("host", ["innocent.example", "METADATA.Google.Internal", "a.example."])
def test_a_name_that_leads_to_metadata_is_refused(
    monkeypatch: pytest.MonkeyPatch, address_: str, host: str
) -> None:
    resolving_to(monkeypatch, address_)
    with pytest.raises(GuardRefused, match="metadata"):
        address.resolve(f"http://{host}/", public=True, remote=True)


@pytest.mark.parametrize("bad", ["169.254.169.254", "fe80::1%1", "10.0.0.1", "93.184.215.14"])
def test_one_bad_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    for addresses in (["127.0.0.1", bad], [bad, "127.0.0.1"]):
        resolving_to(monkeypatch, *addresses)
        with pytest.raises(GuardRefused):
            address.resolve("http://both.example/")


def test_the_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        def answer(host: str, *_args: object, **_kwargs: object) -> list[object]:
            asked.append(host)
            return list(answers) if len(asked) == 1 else []

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        endpoint = address.resolve(f"http://rebinding.example:{port}/")
    assert asked == ["rebinding.example"]
    assert endpoint.address == "127.0.0.1"
    assert endpoint.authority == f"rebinding.example:{port}"


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(["{}", "{:#x}", "0{:o}", "[::ffff:{ip}]", "{ip}."])
)
def test_a_spelling_changes_nothing(number: int, spelling: str) -> None:
    ip = ipaddress.IPv4Address(number)
    outcomes = []
    for host in (str(ip), spelling.format(number, ip=ip)):
        try:
            outcomes.append(address.resolve(f"http://{host}/").address)
        except GuardRefused as error:
            outcomes.append(error.message.partition(": ")[2])
    assert outcomes[0] == outcomes[1]


def test_private_and_public_need_their_flags() -> None:
    with pytest.raises(GuardRefused, match="--remote") as private:
        address.resolve("http://10.1.2.3:8000/")
    assert "--remote" in str(private.value)
    with pytest.raises(GuardRefused) as public:
        address.resolve("http://93.184.215.14/", remote=True)
    assert "--public" in str(public.value)
    with pytest.raises(GuardRefused, match="--remote"):
        address.resolve("http://10.1.2.3:8000/", public=True)
    assert address.resolve("http://10.1.2.3:8000/", remote=True).address == "10.1.2.3"
    assert address.resolve("http://93.184.215.14/", public=True).port == 80


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", ("127.0.0.1", 8000, "/")),
        ("http://0.0.0.0:8000/a?b=1", ("127.0.0.1", 8000, "/a?b=1")),
        ("http://[::1]:8000/x", ("::1", 8000, "/x")),
        ("http://2130706433/", ("127.0.0.1", 80, "/")),
        ("https://127.0.0.1/", ("127.0.0.1", 443, "/")),
    ],
)
def test_loopback_in_its_spellings(url: str, expected: tuple[str, int, str]) -> None:
    endpoint = address.resolve(url)
    assert (endpoint.address, endpoint.port, endpoint.path) == expected
    assert endpoint.is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX-Evil: 1",
        "http://user:secret@127.0.0.1/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[v1.fe80]/",
        "http://[127.0.0.1]/",
        "http://[1:2]/",
        "http://[beef]/",
        "http://169.254.169%2e254/",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1%00.example/",
        "http://\uff11\uff16\uff19.254.169.254/",
        "http://169\u3002254\u3002169\u3002254/",
        "http://\u2460\u2466\u2468.254.169.254/",
        "http://b\xfccher.example/",
        "http://127.0.0.1\\@169.254.169.254/",
        "http://127.0.0.1:80@169.254.169.254/",
        "http://@169.254.169.254/",
        "http://:secret@127.0.0.1/",
        "http://user:secret@127.0.0.1:99999/",
        "http://user:secret@[::1/",
        "http://user:secret@\u2100.example/",
        "http://127.0.0.1/%zz",
        "http://127.0.0.1/" + "a" * 9000,
        "http://\x1b[2J/",
        "http:///etc/passwd",
        "http:127.0.0.1",
        "",
    ],
)
def test_what_is_no_url_of_ours_is_a_usage_error(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        address.resolve(url)
    assert caught.value.exit_code == 2
    assert not isinstance(caught.value, GuardRefused)
    assert "secret" not in str(caught.value)
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


def test_a_name_that_does_not_resolve_is_too_little_evidence() -> None:
    with pytest.raises(TooLittleEvidence) as caught:
        address.resolve("http://nothing.invalid/")
    assert caught.value.exit_code == 4


@given(st.text(max_size=60) | st.from_regex(r"https?://[\[\]a-f0-9:.%@/?#-]{0,30}", fullmatch=True))
def test_no_url_ends_in_a_traceback(url: str) -> None:
    # With a socket no name is looked up: what is left is the parsing.
    with pytest.raises(InvalidInput) as caught:
        address.resolve(url, socket=Path("/nonexistent"))
    assert caught.value.message.isprintable()


def test_a_unix_socket_is_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app.sock"

    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        endpoint = address.resolve("http://shop.example/a?b=1", socket=path)
        monkeypatch.chdir(tmp_path)
        assert address.resolve("http://shop.example/a?b=1", socket=Path("app.sock")) == endpoint
    assert endpoint.is_loopback
    assert endpoint.socket == endpoint.address == str(path)
    assert endpoint.where == f"unix:{path}"
    assert (endpoint.url, endpoint.authority) == ("http://shop.example/a?b=1", "shop.example")
    assert endpoint.at("/c").url == "http://shop.example/c"


def test_what_is_no_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with contextlib.chdir(deep), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
    (tmp_path / "file").touch()
    for path, says in {
        tmp_path / "absent": "No such file",
        tmp_path / "file": "no unix socket",
        tmp_path: "no unix socket",
        deep / "s": "longer than the 107 bytes",
        Path("/\x00"): "no path",
        tmp_path / "\x1b[2J": "No such file",
    }.items():
        with pytest.raises(InvalidInput, match=says) as caught:
            address.resolve("http://shop.example/", socket=path)
        assert caught.value.message.isprintable()
    with pytest.raises(InvalidInput, match="credentials"):
        address.resolve("http://a:b@shop.example/", socket=tmp_path / "absent")
