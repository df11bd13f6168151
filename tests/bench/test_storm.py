"""The parts of a storm that need no service: who behaves how, and the script that drops call files."""

import threading
import time
from collections import Counter
from pathlib import Path

from tests.bench.record import SECOND, Call
from tests.bench.storm import SHARES, behaviour, drop, groups, numbers, typical


def test_every_telephone_has_a_number_of_its_own_that_may_be_used_in_examples() -> None:
    made = numbers(2000)
    assert len(set(made)) == 2000
    assert all(number[3:8] == "55501" for number in made)


def test_a_telephone_behaves_by_its_number_and_the_seed() -> None:
    made = numbers(50)
    assert [behaviour(number, 7) for number in made] == [behaviour(number, 7) for number in made]
    assert [behaviour(number, 7) for number in made] != [behaviour(number, 8) for number in made]


def test_telephones_behave_in_the_shares_that_are_stated() -> None:
    kinds = Counter(behaviour(number, 7).kind for number in numbers(4000))
    assert sum(SHARES.values()) == 100
    for kind, share in SHARES.items():
        assert abs(kinds[kind] - share * 40) < 0.2 * share * 40


def test_every_telephone_is_registered_for_one_offender() -> None:
    made = numbers(237)
    assert sorted(number for part in groups(made) for number in part.numbers) == sorted(made)
    assert all(part.numbers for part in groups(made))


def test_typical_calls_are_as_long_as_all() -> None:
    calls = [Call(str(place), 0, ended=place * SECOND) for place in range(1, 401)]
    chosen = [int(number) for number in typical(calls, seed=7, least=100)]
    assert len(set(chosen)) == 100
    assert abs(sum(chosen) / 100 - 200.5) < 1
    assert chosen != sorted(chosen)


def test_a_script_drops_the_next_file_as_soon_as_one_is_gone_and_never_more_than_there_are_lines(
    tmp_path: Path,
) -> None:
    outgoing = tmp_path / "outgoing"
    outgoing.mkdir()
    (tmp_path / "tmp").mkdir()
    most, dialled = 0, []

    def dial() -> None:
        nonlocal most
        while len(dialled) < 20:
            there = sorted(outgoing.iterdir())
            most = max(most, len(there))
            if there:
                dialled.append(there[0].read_text().split()[1])
                there[0].unlink()
            time.sleep(0.001)

    pbx = threading.Thread(target=dial)
    pbx.start()
    made = numbers(20)
    assert list(drop(tmp_path, made, 3))[-1] == 20
    pbx.join(10)
    assert sorted(dialled) == sorted(f"PJSIP/{number}@trunk-main" for number in made)
    assert most <= 3
