"""Exact results: tables, textbooks, and bounds that hold for every network."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.model.queueing import (
    bound,
    closed_throughput,
    erlang_c,
    saturating_population,
    wait_quantile,
)

seconds = st.floats(1e-5, 10)
population = st.integers(1, 300)


@pytest.mark.parametrize(
    ("servers", "offered", "waits"),
    [
        # M/M/1: the probability of waiting is the utilisation.
        (1, 0.5, 0.5),
        (1, 0.9, 0.9),
        # M/M/2: 2 rho^2 / (1 + rho).
        (2, 1.0, 1 / 3),
        (2, 1.6, 2 * 0.8**2 / 1.8),
        # Published tables of Erlang's delay formula.
        (5, 4.0, 0.5541),
        (10, 8.0, 0.4092),
        (20, 16.0, 0.2561),
        # At or above saturation everybody waits.
        (3, 3.0, 1.0),
        (3, 9.0, 1.0),
    ],
)
def test_erlang_c_gives_the_tables_values(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits, abs=5e-5)


def test_erlang_c_is_the_sum_of_the_textbook() -> None:
    servers, offered = 7, 5.3
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    total = sum(offered**k / math.factorial(k) for k in range(servers)) + last
    assert erlang_c(servers, offered) == pytest.approx(last / total)


def test_erlang_c_stands_a_thousand_servers() -> None:
    assert 0 < erlang_c(1000, 950.0) < 0.2


def test_the_wait_of_one_server_is_exponential() -> None:
    # M/M/1 at rho 0.8, s = 10 ms: P(W > t) = 0.8 exp(-20 t).
    assert wait_quantile(0.99, 80, 1, 0.010) == pytest.approx(math.log(0.8 / 0.01) / 20)


def test_a_saturated_queue_has_no_quantile() -> None:
    assert wait_quantile(0.99, 100, 1, 0.010) is None


def mean_value_analysis(customers: int, delay: float, service: float, servers: int) -> float:
    """The textbook's recursion with marginal probabilities (Lazowska et al., chapter 8)."""
    at = [1.0]  # probabilities of 0, 1, ... customers at the station
    throughput = 0.0
    for number in range(1, customers + 1):
        rates = [min(k, servers) / service for k in range(1, number + 1)]
        residence = sum(k / rates[k - 1] * at[k - 1] for k in range(1, number + 1))
        throughput = number / (delay + residence)
        upper = [throughput / rates[k - 1] * at[k - 1] for k in range(1, number + 1)]
        at = [1 - sum(upper), *upper]
    return throughput


@pytest.mark.parametrize("customers", [1, 2, 3, 5, 10, 30])
@pytest.mark.parametrize("servers", [1, 2, 4])
@pytest.mark.parametrize("delay", [0.005, 0.04, 0.5])
def test_the_closed_network_equals_mean_value_analysis(
    customers: int, servers: int, delay: float
) -> None:
    exact = closed_throughput(customers, delay, lambda j: min(j, servers) / 0.01)
    assert exact == pytest.approx(mean_value_analysis(customers, delay, 0.01, servers), rel=1e-6)


def test_a_worked_example_of_mean_value_analysis() -> None:
    # Two customers, think time 1 s, one station of 1 s: R(1) = 1, X(1) = 1/2, Q(1) = 1/2,
    # R(2) = 1.5, X(2) = 2 / 2.5.
    assert closed_throughput(2, 1.0, lambda _: 1.0) == pytest.approx(0.8)


@given(population, seconds, seconds, st.floats(0.1, 64))
def test_throughput_keeps_within_its_asymptotic_bounds(
    customers: int, delay: float, service: float, servers: float
) -> None:
    got = closed_throughput(customers, delay, lambda j: min(j, servers) / service)
    slowest = service / min(1.0, servers)
    upper = bound(customers, delay, slowest, servers / service)
    lower = customers / (delay + customers * slowest)
    assert lower * (1 - 1e-9) <= got <= upper * (1 + 1e-9)


@given(population, seconds, seconds)
def test_another_customer_never_lowers_throughput(
    customers: int, delay: float, service: float
) -> None:
    def served(number: int) -> float:
        return closed_throughput(number, delay, lambda _: 1 / service)

    assert served(customers + 1) >= served(customers) * (1 - 1e-9)


def test_a_large_population_does_not_overflow() -> None:
    assert closed_throughput(5000, 1e-6, lambda _: 10.0) == pytest.approx(10.0)
    assert closed_throughput(0, 1.0, lambda _: 1.0) == 0


@given(st.floats(0.1, 64), seconds, st.floats(0, 10))
def test_the_saturating_population_is_where_the_bounds_meet(
    cores: float, cpu: float, delay: float
) -> None:
    number = saturating_population(cores, cpu, delay)
    assert number / (cpu + delay) >= cores / cpu * (1 - 1e-6)
    assert number == 1 or (number - 1) / (cpu + delay) < cores / cpu * (1 + 1e-6)
