"""The comparison of two colours: how often it errs, what it finds, and what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest

from release.deploy.host import DeploymentRefused
from release.deploy.host.canary import (
    Comparison,
    Count,
    SequentialTest,
    read_samples,
    shares,
)

RUNS, LOOKS = 1000, 400
NONE = Count(0, 0)


def alarms(
    seed: int, old: float, new: float, margin: float, level: float, signs: tuple[int, ...] = (1,)
) -> float:
    """Return how often a comparison of two shares alarms when it is looked at all the time."""
    draw = np.random.default_rng(seed)
    faults = 0
    for _ in range(RUNS):
        tests = [SequentialTest(margin, level) for _ in signs]
        of = draw.integers(1, 4, LOOKS), draw.integers(5, 40, LOOKS)
        parts = draw.binomial(of[0], new) / of[0] - draw.binomial(of[1], old) / of[1]
        faults += any(
            test.observe(sign * difference)
            for difference in parts
            for sign, test in zip(signs, tests, strict=True)
        )
    return faults / RUNS


@pytest.mark.parametrize(
    ("old", "new", "margin"), [(0.5, 0.5, 0.0), (0.02, 0.02, 0.0), (0.3, 0.4, 0.1), (0, 0.05, 0.05)]
)
def test_a_false_alarm_is_as_rare_as_stated(old: float, new: float, margin: float) -> None:
    """The worst case that the statement allows: the difference is the margin, or 0 without one."""
    assert alarms(1, old, new, margin, level=0.05) <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def test_a_bet_is_never_expected_to_win_while_the_statement_holds() -> None:
    draw = np.random.default_rng(2)
    for margin in (0.0, 0.05, 0.2):
        test = SequentialTest(margin, 1e-9)
        for _ in range(200):
            expected = 0.0
            for difference, chance in ((1.0, (1 + margin) / 2), (-1.0, (1 - margin) / 2)):
                copy = SequentialTest(**vars(test))
                copy.observe(difference)
                assert copy.wealth > 0
                expected += chance * copy.wealth
            assert expected <= test.wealth * (1 + 1e-12)
            test.observe(float(draw.choice([-1.0, 0.0, 1.0])))


@pytest.mark.parametrize(
    ("old", "new", "margin"), [(0.001, 0.2, 0.005), (0.75, 0.4, 0.15), (0.02, 0.5, 0.05)]
)
def test_a_large_difference_is_nearly_always_found(old: float, new: float, margin: float) -> None:
    assert alarms(3, old, new, margin, level=0.002, signs=(1, -1)) > 0.95


def test_a_colour_that_always_fails_is_found_within_twenty_looks() -> None:
    test = SequentialTest(0.005, 0.002)
    assert next(n for n in range(100) if test.observe(1.0)) < 20


def test_nothing_is_compared_without_requests_to_both_colours() -> None:
    comparison = Comparison("failures", 0.0, (1,), (NONE, NONE))
    for n in range(1000):
        assert comparison.fault(Count(n, n), NONE, 0.5) == ""
    assert comparison.tests[0].wealth == 1


def test_approvals_may_neither_rise_nor_fall_beyond_the_margin() -> None:
    for new, old in ((0, 10), (10, 0)):
        comparison = Comparison("approvals", 0.15, (1, -1), (NONE, NONE))
        looks = (
            comparison.fault(Count(new * n, 10 * n), Count(old * n, 10 * n), 0.001)
            for n in range(1, 50)
        )
        fault_found = next(fault for fault in looks if fault)
        assert fault_found.startswith("approvals differ by more than 0.15: ")


def test_counts_of_a_restarted_service_go_on_from_zero() -> None:
    assert Count(3, 12).since(Count(1, 10)) == Count(2, 2)
    assert Count(1, 4).since(Count(1, 10)) == Count(1, 4)


@contextmanager
def service(status: int, text: str) -> Iterator[str]:
    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Metrics)
    thread = Thread(target=server.handle_request)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    thread.join()
    server.server_close()


def test_samples_are_read_with_their_labels() -> None:
    text = '# HELP x\nx_total{a="b",c="d e"} 3.0\ny 1e+02\nz{le="+Inf"} 2 1700000000\n'
    with service(200, text) as address:
        samples = read_samples(address, "key")
    assert samples == [("x_total", 'a="b",c="d e"', 3.0), ("y", "", 100.0), ("z", 'le="+Inf"', 2.0)]


def test_a_service_without_metrics_gets_no_canary() -> None:
    with (
        service(403, "") as address,
        pytest.raises(DeploymentRefused, match="must be readable for a canary"),
    ):
        read_samples(address, "key")


def test_the_shares_of_a_canary_are_percentages() -> None:
    assert shares("5,25") == [5, 25]
    assert shares("none") == []
    for text in ("", "5;25", "0", "100", "5,many", "-5"):
        with pytest.raises(DeploymentRefused, match="must be percentages"):
            shares(text)
