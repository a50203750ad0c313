from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe import address

if TYPE_CHECKING:
    import ipaddress


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
        "[fe80::1]",
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


def test_a_name_that_leads_to_metadata_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: answer)
    with pytest.raises(GuardRefused, match="metadata"):
        address.resolve("http://innocent.example/", public=True, remote=True)


def test_private_and_public_need_their_flags() -> None:
    with pytest.raises(GuardRefused, match="--remote") as private:
        address.resolve("http://10.1.2.3:8000/")
    assert "--remote" in str(private.value)
    with pytest.raises(GuardRefused) as public:
        address.resolve("http://93.184.215.14/", remote=True)
    assert "--public" in str(public.value)
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
        "",
    ],
)
def test_what_is_no_url_of_ours_is_a_usage_error(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        address.resolve(url)
    assert caught.value.exit_code == 2
    assert "secret" not in str(caught.value)


def test_a_name_that_does_not_resolve_is_too_little_evidence() -> None:
    with pytest.raises(TooLittleEvidence) as caught:
        address.resolve("http://nothing.invalid/")
    assert caught.value.exit_code == 4
