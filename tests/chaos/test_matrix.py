"""A walk can be repeated, and the table shows every cell."""

from itertools import islice

from tests.bench import report
from tests.chaos import matrix
from tests.chaos.cell import ALL_POINTS, Result
from tests.chaos.faults import ALL_FAULTS


def test_the_same_seed_makes_the_same_walk():
    first, again, another = (list(islice(matrix.walk(seed, 1), 30)) for seed in ("a", "a", "b"))
    assert first == again
    assert first != another


def test_a_walk_ends_when_its_time_is_over():
    assert list(matrix.walk("a", 0)) == []


def test_the_table_has_a_cell_for_every_point_and_fault_and_says_what_broke():
    cells, broken = matrix.every(), ["a telephone was called twice"]
    every_third = [[], broken, []], ["", "", "no commit"]
    results = [
        Result(each.point.name, each.fault, every_third[0][number % 3], 1, every_third[1][number % 3])
        for number, each in enumerate(cells)
    ]
    with report.out.capture() as captured:
        matrix.show(results)
    said = captured.get()
    assert len(cells) == len(ALL_POINTS) * len(ALL_FAULTS)
    assert said.count(" ok") == len(cells[0::3])
    assert said.count(" violation") == len(cells[1::3]) + 1  # and the sum
    assert said.count(broken[0]) == len(cells[1::3])
    for point in ALL_POINTS:
        assert said.count(f"\n {point.name} ") == 4  # tables


def test_a_line_says_what_broke_and_where():
    result = Result("renamed", ALL_FAULTS[0], ["no call came after it"], 3)
    assert matrix.line_of(result).plain == "BAD  renamed: dial killed: no call came after it"
