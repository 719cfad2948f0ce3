"""The brake on guesses: it slows the guesser and nobody else."""

import pytest

from agent.access.throttle import ADDRESS_FREE, FORGET_S, PAIR_FREE, PAIR_MAX_S, Throttle
from agent.errors import Throttled, Unauthenticated


class Clock:
    seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock=clock)


def fail(throttle, address, user, times):
    for _ in range(times):
        throttle.failed(address, user)


def wait_s(throttle, address, user):
    try:
        throttle.check(address, user)
    except Throttled as throttled:
        return throttled.retry_after_s
    return 0


def test_a_few_wrong_ones_are_free(throttle):
    fail(throttle, "10.0.0.1", "bob", PAIR_FREE - 1)
    assert wait_s(throttle, "10.0.0.1", "bob") == 0


def test_each_further_one_doubles_the_wait_up_to_a_limit(throttle, clock):
    fail(throttle, "10.0.0.1", "bob", PAIR_FREE - 1)
    waits = []
    for _ in range(9):
        throttle.failed("10.0.0.1", "bob")
        waits.append(wait_s(throttle, "10.0.0.1", "bob"))
        clock.seconds += waits[-1]
        assert wait_s(throttle, "10.0.0.1", "bob") == 0
    assert waits == [1, 2, 4, 8, 16, 32, PAIR_MAX_S, PAIR_MAX_S, PAIR_MAX_S]


def test_an_account_isnt_locked_by_strangers(throttle):
    fail(throttle, "10.0.0.66", "bob", 1000)
    assert wait_s(throttle, "10.0.0.66", "bob") > 0
    assert wait_s(throttle, "10.0.0.1", "bob") == 0


def test_an_address_that_tries_many_names_is_slowed_for_all(throttle):
    for number in range(ADDRESS_FREE):
        throttle.failed("10.0.0.66", f"name{number}")
    assert wait_s(throttle, "10.0.0.66", "never tried") > 0
    assert wait_s(throttle, "10.0.0.1", "never tried") == 0


def test_a_success_forgets(throttle, clock):
    fail(throttle, "10.0.0.1", "bob", PAIR_FREE + 3)
    clock.seconds += 60
    throttle.succeeded("10.0.0.1", "bob")
    fail(throttle, "10.0.0.1", "bob", PAIR_FREE - 1)
    assert wait_s(throttle, "10.0.0.1", "bob") == 0


def test_a_good_account_is_no_licence_to_guess_at_others(throttle, clock):
    for number in range(ADDRESS_FREE):
        throttle.failed("10.0.0.66", f"name{number}")
        throttle.failed("10.0.0.66", "own account")
        throttle.succeeded("10.0.0.66", "own account")
        clock.seconds += 10
    clock.seconds -= 10
    assert wait_s(throttle, "10.0.0.66", "another name") > 0


def test_old_failures_are_forgotten(throttle, clock):
    fail(throttle, "10.0.0.1", "bob", 5)
    clock.seconds += FORGET_S + 1
    throttle.failed("10.0.0.1", "bob")
    assert wait_s(throttle, "10.0.0.1", "bob") == 0


def test_the_forms_of_one_address_are_one_and_an_ipv6_network_of_one_host_too(throttle):
    fail(throttle, "10.0.0.1", "bob", 8)
    assert wait_s(throttle, "::ffff:10.0.0.1", "bob") > 0
    fail(throttle, "2001:db8:1:2::1", "bob", 8)
    assert wait_s(throttle, "2001:db8:1:2:ffff::99", "bob") > 0
    assert wait_s(throttle, "2001:db8:1:3::1", "bob") == 0


def test_memory_is_bounded_and_the_guesser_cant_flush_himself_out(clock):
    throttle = Throttle(clock=clock, max_entries=50)
    for number in range(500):
        throttle.failed("10.0.0.66", f"name{number}" + "x" * 5000)
    assert len(throttle._pairs) == 50 and len(throttle._addresses) == 1
    assert sum(len(user) for _, user in throttle._pairs) <= 50 * 64
    assert wait_s(throttle, "10.0.0.66", "bob") > 0


def test_twenty_thousand_failures_break_no_arithmetic(throttle):
    fail(throttle, "10.0.0.1", "bob", 20_000)
    assert wait_s(throttle, "10.0.0.1", "bob") == PAIR_MAX_S


def test_it_is_a_kind_of_unauthenticated(throttle):
    fail(throttle, "10.0.0.1", "bob", 9)
    with pytest.raises(Unauthenticated):
        throttle.check("10.0.0.1", "bob")
