"""The watchdog's rule, look by look."""

from movans.supervision import Process
from movans.watchdog import GIVEN_UP, SILENCE, START_UP, Watch

RUNNING = {"serve": Process("RUNNING", 100)}


def look(watch: Watch, times: int, sign: int, pid: int = 100, state: str = "RUNNING") -> list[int]:
    """Look so many times at one unchanging sign; returns at which looks it would have been killed."""
    process = {"serve": Process(state, pid)}
    return [number for number in range(1, times + 1) if watch.look(process, {"serve": sign})]


def test_a_part_that_beats_lives() -> None:
    watch = Watch()
    assert not any(watch.look(RUNNING, {"serve": beat}) for beat in range(1000))


def test_a_part_that_stops_beating_is_killed_after_3_seconds() -> None:
    watch = Watch()
    look(watch, 1, sign=1)
    assert look(watch, 7, sign=2) == [1 + SILENCE["serve"]]


def test_a_part_that_starts_has_a_minute_to_its_first_beat() -> None:
    watch = Watch()
    assert look(watch, START_UP + 1, sign=0) == [START_UP + 1]


def test_the_beat_of_the_process_before_does_not_count() -> None:
    watch = Watch()
    look(watch, 1, sign=1)
    look(watch, 2, sign=2)
    assert look(watch, START_UP, sign=2, pid=101) == []


def test_one_long_pause_between_two_looks_kills_nobody() -> None:
    """However long a look took to come: it is one look."""
    watch = Watch()
    look(watch, 1, sign=1)
    look(watch, SILENCE["serve"] - 1, sign=2)
    assert look(watch, 1, sign=2) == []
    assert look(watch, 1, sign=3) == []


def test_what_the_supervisor_is_stopping_is_left_alone() -> None:
    watch = Watch()
    look(watch, 1, sign=1)
    look(watch, 2, sign=2)
    assert look(watch, 50, sign=2, state="STOPPING") == []


def test_what_was_given_up_is_started_again_later_and_only_then() -> None:
    watch = Watch()
    fatal = {"serve": Process("FATAL", 0), "dial": Process("RUNNING", 1)}
    due = [watch.to_start(fatal) for _ in range(2 * GIVEN_UP)]
    assert [number for number, names in enumerate(due, start=1) if names] == [GIVEN_UP, 2 * GIVEN_UP]
    assert due[GIVEN_UP - 1] == ["serve"]
