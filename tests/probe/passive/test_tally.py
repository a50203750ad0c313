"""Which window a request belongs to, and how much of the log is kept."""

from __future__ import annotations

import pytest

from advisor.probe.passive import tally
from advisor.probe.passive.entry import Entry
from advisor.probe.passive.tally import Count, Tally

START = 1_700_000_000.0


def windows(count: int = 5) -> Tally:
    return Tally(START, 1.0, [Count() for _ in range(count)])


def done(at: float | None, status: int = 200, *, proxied: bool | None = None) -> Entry:
    return Entry(at, "GET", "/", "", status, upstream_s=0.01, proxied=proxied)


def counts(seen: Tally) -> list[int]:
    return [window.requests for window in seen.windows]


def test_a_request_belongs_to_the_window_in_which_it_ended() -> None:
    seen = windows()
    seen.add(done(START + 1.9), read_at=START + 3.5)
    seen.add(done(START + 2.0), read_at=START + 3.5)
    seen.add(done(START - 0.1), read_at=START + 0.2)
    seen.add(done(START + 5.0), read_at=START + 5.1)
    assert counts(seen) == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("at", [None, START + 3600, START - 3600])
def test_without_a_time_that_can_be_it_is_when_the_line_was_read(at: float | None) -> None:
    seen = windows()
    seen.add(done(at), read_at=START + 3.5)
    assert counts(seen) == [0, 0, 0, 1, 0]


def test_what_the_proxy_answered_is_no_request_of_the_app() -> None:
    seen = windows()
    seen.add(done(START, proxied=False), START)
    seen.add(done(START, 503), START)
    seen.add(done(START, 404, proxied=True), START)
    assert (seen.requests, seen.errors, seen.by_proxy) == (2, 1, 1)
    assert seen.windows[0].upstream_s == pytest.approx(0.02)


def test_windows_that_a_buffered_log_has_not_told_yet() -> None:
    direct, buffered = windows(), windows()
    for second in range(3):
        direct.add(done(START + second), read_at=START + second + 0.4)
        buffered.add(done(START + second), read_at=START + 4)
    assert direct.told() == 5
    assert buffered.told() == 2


def test_of_a_long_log_a_fair_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "KEPT", 100)
    seen = windows()
    for number in range(2000):
        seen.add(Entry(START, "GET", f"/{number}", "", 200), START)
    assert seen.requests == 2000
    kept = sorted(int(entry.path[1:]) for entry in seen.kept)
    assert len(kept) == 100
    assert 700 < sum(kept) / 100 < 1300
