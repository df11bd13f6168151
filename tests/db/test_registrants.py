"""Registering, and the numbers and keys of who did."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import psycopg

from db import custody, guard, registrants
from db.custody import Offender
from db.keys import Keyring
from tests import people
from tests.conftest import KEYS, NOON


def test_only_the_right_pin_finds_the_registrant(shared: psycopg.Connection, register: Callable[..., int]):
    register("5735550142", "2580")
    assert registrants.find(shared, KEYS, KEYS.hashes("5735550142"), "2580")
    assert registrants.find(shared, KEYS, KEYS.hashes("5735550142"), "2581") is None
    assert registrants.find(shared, KEYS, KEYS.hashes("5735550143"), "2580") is None


def test_after_the_keys_are_turned_over_the_old_still_work_and_the_pin_moves_to_the_new(
    shared: psycopg.Connection, register: Callable[..., int]
):
    register("5735550142", "2580")
    both = Keyring(KEYS.keys | {"2": bytes(32)})
    only_new = Keyring({"2": bytes(32)})
    found = registrants.find(shared, both, both.hashes("5735550142"), "2580")
    assert found
    row = shared.execute("select pin_hash, pin_key_id from registrant").fetchone()
    assert row
    assert row[1] == "2"
    assert only_new.pin_matches("2", found, "2580", row[0])


def test_the_same_number_and_pin_in_two_calls_at_once_is_one_registrant(
    database: str, shared: psycopg.Connection, offender: Offender
):
    other = custody.add(shared, "boone", "100235", offender.person, offender.custody, now=NOON)
    ready = Barrier(2)

    def register(offender_id: int) -> None:
        with psycopg.connect(database) as conn:
            ready.wait()
            people.register(conn, KEYS, number="5735550142", offender_id=offender_id, now=NOON)

    racers = [Thread(target=register, args=[each.id]) for each in (offender, other)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert shared.execute("select count(*) from registrant").fetchone() == (1,)
    assert shared.execute("select count(*) from registration").fetchone() == (2,)


def test_at_a_new_key_all_numbers_are_sealed_anew_so_that_each_has_one_hash(
    shared: psycopg.Connection, register: Callable[..., int]
):
    register("5735550142", "2580")
    both = Keyring(KEYS.keys | {"2": bytes(32)})
    only_new = Keyring({"2": bytes(32)})
    assert registrants.reseal(shared, both) == 1
    assert registrants.reseal(shared, both) == 0
    row = shared.execute("select number_hash, number_cipher, key_id from telephone").fetchone()
    assert row
    assert only_new.hashes("5735550142") == [row[0]]
    assert only_new.open(row[1], row[2]) == "5735550142"
    assert registrants.find(shared, both, both.hashes("5735550142"), "2580")


def test_five_wrong_pins_within_a_day_lock_the_number_until_a_day_after_the_fifth(shared: psycopg.Connection):
    def is_locked(hours: float) -> bool:
        return guard.locked(shared, KEYS.hashes("5735550142"), now=NOON + timedelta(hours=hours))

    for hours in (0, 6, 12, 18, 23):
        assert not is_locked(hours)
        guard.count_wrong_pin(shared, KEYS.hash("5735550142"), now=NOON + timedelta(hours=hours))
    assert [is_locked(hours) for hours in (23, 24, 30, 46.9, 47)] == [True, True, True, True, False]


def test_four_wrong_pins_a_day_lock_nothing(shared: psycopg.Connection):
    for hours in range(0, 96, 6):
        guard.count_wrong_pin(shared, KEYS.hash("5735550142"), now=NOON + timedelta(hours=hours))
        assert not guard.locked(shared, KEYS.hashes("5735550142"), now=NOON + timedelta(hours=hours))
