"""Registering, alone and against a feed run that changes the same offender."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import psycopg

from db import custody, feed_runs, guard, registrants
from db.custody import Custody, Offender
from db.keys import Keyring
from dialer import policy
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS


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


def test_a_registration_races_a_feed_run_and_nothing_falls_between(
    database: str, shared: psycopg.Connection, offender: Offender
):
    """Whoever comes second waits: either the caller hears the new status, or the event notifies who registered."""
    released = Custody("released", "Boone County Jail", NOON + timedelta(hours=1))

    def feed(number: int) -> None:
        with psycopg.connect(database) as conn:
            custody.lock(conn, "boone", [offender.number])
            run = feed_runs.add(conn, "race.csv", "", "applied", now=NOON)
            custody.update(conn, offender.id, offender.person, released, now=NOON)
            event = custody.record(
                conn, offender.id, "released", released,
                source="boone", source_key=str(number), feed_run_id=run, now=NOON,
            )  # fmt: skip
            policy.notify(conn, event, late=False, settings=SETTINGS, now=NOON)

    heard: list[Custody] = []

    def register(number: int) -> None:
        with psycopg.connect(database) as conn:
            done = people.register(conn, KEYS, number=f"57355501{number:02}", offender_id=offender.id, now=NOON)
            heard.append(done.offender.custody)

    missed = 0
    for number in range(20):
        custody.update(shared, offender.id, offender.person, offender.custody, now=NOON)
        heard.clear()
        racers = [Thread(target=feed, args=[number]), Thread(target=register, args=[number])]
        for racer in racers[:: 1 if number % 2 else -1]:
            racer.start()
        for racer in racers:
            racer.join()
        told = shared.execute(
            """select count(*) from notification join registration r on r.id = registration_id
               join telephone t using (registrant_id) join custody_event e on e.id = event_id
               where number_hash = %s and source_key = %s""",
            [KEYS.hashes(f"57355501{number:02}")[0], str(number)],
        ).fetchone()
        assert told
        missed += told[0] != (1 if heard == [offender.custody] else 0)
    assert missed == 0


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
