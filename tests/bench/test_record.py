"""What a record of calls says of lines and of waiting."""

from itertools import count
from math import inf

from tests.bench.record import SECOND, Call, line_use, most_at_once, most_in_a_second, waits_for_a_line

NUMBERS = count(5735550100)
AT_ONCE = inf  # a rate that holds nothing back


def call(begins: float, ends: float | None, number: str = "") -> Call:
    ended = None if ends is None else round(ends * SECOND)
    return Call(number or str(next(NUMBERS)), round(begins * SECOND), ended=ended)


def seconds(waits: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(round(wait, 6), number) for wait, number in waits]


def test_a_line_that_is_taken_again_at_once_was_never_two() -> None:
    assert most_at_once([call(0, 5), call(5, 9), call(1, 6)]) == 2


def test_a_call_that_has_not_ended_takes_its_line_for_ever() -> None:
    assert most_at_once([call(0, None), call(5, 9), call(100, 101)]) == 2


def test_no_calls_take_no_line() -> None:
    assert most_at_once([]) == 0
    assert most_in_a_second([]) == 0


def test_the_rate_is_counted_in_any_second_and_not_by_the_clock() -> None:
    assert most_in_a_second([call(at, 9) for at in (0, 0.9, 1.2, 1.8, 2.5)]) == 3


def test_calls_a_second_apart_are_one_a_second() -> None:
    assert most_in_a_second([call(at, 9) for at in (0, 1, 2)]) == 1


def test_lines_that_are_always_busy_are_used_wholly() -> None:
    assert line_use([call(0, 6), call(6, 20), call(0, 20)], 2, since=0, until=10 * SECOND) == 1


def test_only_what_lies_between_the_two_times_counts() -> None:
    calls = [call(0, 4), call(2, 3), call(8, None)]
    assert line_use(calls, 2, since=2 * SECOND, until=12 * SECOND) == (2 + 1 + 4) / 20


def test_a_first_call_waits_only_from_when_a_line_was_free() -> None:
    calls = [call(0, 4), call(0.1, 9), call(4.25, 8, "urgent"), call(5, 6)]
    assert seconds(waits_for_a_line(calls, ["urgent"], 2, AT_ONCE, since=SECOND)) == [(0.25, "urgent")]


def test_a_line_that_was_free_all_along_was_theirs_from_the_beginning() -> None:
    assert seconds(waits_for_a_line([call(3, 8, "urgent")], ["urgent"], 2, AT_ONCE, since=SECOND)) == [(2, "urgent")]


def test_a_line_that_another_call_took_meanwhile_was_theirs() -> None:
    calls = [call(0, 2), call(2, 7, "routine"), call(7, 9, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 1, AT_ONCE, since=SECOND)) == [(5, "urgent")]


def test_a_line_that_had_been_given_to_a_call_on_its_way_was_not_free() -> None:
    calls = [call(0, 9), call(1.02, 3, "routine"), call(3.25, 9, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 2, AT_ONCE, since=SECOND)) == [(0.25, "urgent")]


def test_they_take_free_lines_one_after_the_other() -> None:
    calls = [call(1, 3, "first"), call(1.5, 9, "second"), call(3.25, 9, "third")]
    waits = waits_for_a_line(calls, ["first", "second", "third"], 2, AT_ONCE, since=SECOND)
    assert seconds(waits) == [(0.5, "second"), (0.25, "third"), (0, "first")]


def test_only_the_first_call_of_a_number_counts() -> None:
    calls = [call(1, 3, "urgent"), call(9, 10, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 1, AT_ONCE, since=SECOND)) == [(0, "urgent")]


def test_what_the_rate_holds_back_is_not_late() -> None:
    calls = [call(1 + place / 25, 9, str(place)) for place in range(50)]
    wanted = [str(place) for place in range(50)]
    assert {wait for wait, _ in waits_for_a_line(calls, wanted, 50, 25, since=SECOND)} == {0}
    waits = waits_for_a_line(calls, wanted, 50, 50, since=SECOND)
    assert seconds(waits)[:2] == [(0.98, "49"), (0.96, "48")]


def test_the_rate_counts_from_the_call_before() -> None:
    calls = [call(0.75, 9), call(2, 9, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 2, rate=2, since=SECOND)) == [(0.75, "urgent")]


def test_a_call_that_was_on_its_way_had_the_rates_turn() -> None:
    calls = [call(1.05, 9, "routine"), call(1.8, 9, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 2, rate=2, since=SECOND)) == [(0.25, "urgent")]


def test_the_turn_of_the_rate_that_another_call_took_meanwhile_was_theirs() -> None:
    calls = [call(1.2, 9, "routine"), call(1.7, 9, "urgent")]
    assert seconds(waits_for_a_line(calls, ["urgent"], 2, rate=2, since=SECOND)) == [(0.7, "urgent")]


def test_lines_that_become_free_at_once_are_taken_one_after_the_other_as_the_rate_allows() -> None:
    calls = [call(0, 3), call(0.2, 3), call(3.1, 9, "first"), call(3.7, 9, "second")]
    waits = waits_for_a_line(calls, ["first", "second"], 2, rate=2, since=SECOND)
    assert seconds(waits) == [(0.2, "second"), (0.1, "first")]
