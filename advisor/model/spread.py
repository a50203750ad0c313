"""How kept-alive connections fall on workers, and what that leaves of their throughput.

A connection stays with the worker that accepted it, so some workers hold more than others. How
many one of w workers holds of N connections is taken as beta-binomial: workers differ in how
readily they accept, as draws from a Dirichlet distribution do (Johnson, Kemp and Kotz 2005,
6.2.2). Its concentration is fitted to measured launches; infinite would be an even chance.
"""

from __future__ import annotations

import math
from functools import lru_cache
from operator import mul


def alone(population: int, delay_s: float, held_s: float, slots: int) -> list[float]:
    """Requests a second that one worker draws from 0, 1, ..., `population` connections.

    Exact mean value analysis of one queue and a delay (Reiser and Lavenberg 1980); beyond `slots`
    requests at once nothing more is taken on.

    >>> [round(rate, 1) for rate in alone(3, 0.040, 0.010, 2)]
    [0.0, 20.0, 38.5, 38.5]
    """
    rates, queue = [0.0], 0.0
    for number in range(1, min(population, slots) + 1):
        response = held_s * (1 + queue)
        rates.append(number / (delay_s + response))
        queue = rates[-1] * response
    return rates + rates[-1:] * (population + 1 - len(rates))


def expected(
    rates: list[float], workers: int, concentration: float, most: float = math.inf
) -> float:
    """The mean of what `workers` serve together of as many connections as `rates` has, less one.

    In no launch more than `most`. A launch is lucky or not: where the mean of the sum is what the
    CPU allows, half of the launches fall short of it, and no lucky one makes up for that.

    >>> round(expected(alone(2, 0.0, 0.010, 2), 2, 1e9))
    150
    >>> round(expected(alone(2, 0.0, 0.010, 2), 2, 1e9, most=150))
    130
    """
    population = len(rates) - 1
    if workers == 1:
        return min(rates[-1], most)
    if math.isinf(concentration):
        return min(workers * _between(rates, population / workers), most)
    return _mean_below(most, *_moments(rates, workers, concentration))


def inside(population: int, slots: int, workers: int, concentration: float) -> float:
    """How many of `population` connections find a slot with the worker that holds them, on average.

    >>> round(inside(4, 2, 2, 1e9), 2), inside(4, 4, 2, 0.3)
    (3.25, 4.0)
    """
    if workers == 1 or slots >= population or math.isinf(concentration):
        return float(min(population, workers * slots))
    shares = shares_of_one(population, workers, concentration)
    return workers * sum(share * min(held, slots) for held, share in enumerate(shares))


def _moments(rates: list[float], workers: int, concentration: float) -> tuple[float, float]:
    """Mean and standard deviation, over launches, of what the workers serve together.

    The number of connections is fixed, so what a rate has of a straight line in them adds up to
    a constant: only the residuals vary. Those of two workers correlate by 1 / (w - 1)^2 where they
    are squares of normal deviates, which gives the factor w^2 / (w - 1).
    """
    population = len(rates) - 1
    shares = shares_of_one(population, workers, concentration)
    weighted = list(map(mul, shares, rates))
    mean, usual, total = sum(weighted), population / workers, workers * concentration
    held = usual * (1 - 1 / workers) * (population + total) / (1 + total)
    rated = sum(map(mul, weighted, rates)) - mean * mean
    both = sum(map(mul, weighted, range(population + 1))) - usual * mean
    residual = max(0.0, rated - both * both / held)
    return workers * mean, workers * math.sqrt(residual / (workers - 1))


def _mean_below(most: float, mean: float, deviation: float) -> float:
    """E[min(X, most)] of a normal X (Clark 1961, the greatest of two variables, turned round)."""
    if math.isinf(most) or deviation <= 1e-9 * mean:
        return min(mean, most)
    above = (mean - most) / deviation
    beyond = math.erfc(-above / math.sqrt(2)) / 2
    density = math.exp(-above * above / 2) / math.sqrt(2 * math.pi)
    return max(0.0, mean * (1 - beyond) + most * beyond - deviation * density)


def _between(rates: list[float], number: float) -> float:
    low = math.floor(number)
    high = min(low + 1, len(rates) - 1)
    return rates[low] + (number - low) * (rates[high] - rates[low])


@lru_cache(maxsize=512)
def shares_of_one(population: int, workers: int, concentration: float) -> tuple[float, ...]:
    """The probabilities that one worker holds 0, 1, ..., `population` connections."""
    own, others = concentration, concentration * (workers - 1)
    logs = [
        math.lgamma(population + 1)
        - math.lgamma(number + 1)
        - math.lgamma(population - number + 1)
        + math.lgamma(number + own)
        + math.lgamma(population - number + others)
        - math.lgamma(population + own + others)
        + math.lgamma(own + others)
        - math.lgamma(own)
        - math.lgamma(others)
        for number in range(population + 1)
    ]
    return tuple(math.exp(value) for value in logs)
