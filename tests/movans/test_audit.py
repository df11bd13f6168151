"""`movans audit`, as it is typed."""

from datetime import timedelta

import psycopg

from db import staff
from tests.conftest import NOON
from tests.movans.conftest import Movans


def test_it_prints_what_staff_did_since_a_time_or_one_of_them(movans: Movans, shared: psycopg.Connection):
    assert "Nothing was done." in movans("audit").stdout
    for days, who, what in ((3, "ann", "ended alert 1"), (2, "bob", "ended alert 2"), (1, "ann", "ended alert 3")):
        staff.record(shared, who, what, 17 if who == "bob" else None, now=NOON - timedelta(days=days))
    lines = movans("audit").stdout.splitlines()
    assert [line.split() for line in lines if "alert" in line] == [
        ["2026-11-17", "12:00", "ann", "ended", "alert", "1"],
        ["2026-11-18", "12:00", "bob", "ended", "alert", "2", "17"],
        ["2026-11-19", "12:00", "ann", "ended", "alert", "3"],
    ]
    some = movans("audit", "--since", "2026-11-18 11:00", "--who", "ann").stdout
    assert "alert 3" in some
    assert "alert 1" not in some
    assert "bob" not in some
    wrong = movans("audit", "--since", "yesterday")
    assert wrong.returncode
    assert "--since 'yesterday' must be a time like 2026-11-15 or 2026-11-15 09:40" in wrong.stderr
