"""`movans audit`, as it is typed."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import yaml

from db import staff
from movans.staff import logged_in
from tests.conftest import NOON
from tests.feed.conftest import JAIL, SAMPLES
from tests.movans.conftest import CLERK, Movans


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


def acts(shared: psycopg.Connection) -> list[tuple[str, str]]:
    return shared.execute("select who, what from staff_act order by id").fetchall()


def test_that_a_number_was_let_in_again_is_kept_without_the_number(movans: Movans, shared: psycopg.Connection):
    lifted = movans("registrant", "lift", says="573-555-0142\n")
    assert lifted.returncode == 0, lifted.stderr
    assert acts(shared) == [(CLERK, "lifted 0 refusals and 0 wrong PINs of a number •••-•••-••42, which is nobody's")]


def test_every_import_by_hand_is_kept_with_its_feed_and_what_became_of_it(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    settings = tmp_path / "movans.yaml"
    content = yaml.safe_load(settings.read_text(encoding="utf-8"))
    content["agencies"]["boone"]["feeds"] = {"jail": JAIL | {"format": "custody changes", "interval": 900}}
    settings.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert movans("feed", "import", "--feed", "boone/jail", str(SAMPLES / "jail.csv")).returncode == 0
    assert shared.execute("select a.xmin::text = r.xmin::text from staff_act a, feed_run r").fetchall() == [(True,)]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("nothing\n1\n")
    assert movans("feed", "import", "--feed", "boone/jail", str(wrong)).returncode == 1
    kept = [
        (CLERK, "imported jail.csv by the feed boone/jail"),
        (CLERK, "imported wrong.csv by the feed boone/jail: refused"),
    ]
    assert acts(shared) == kept


@pytest.mark.parametrize(("uid", "name"), [("0", "root"), (str(2**32 - 1), None), ("4294967000", None), ("", None)])
def test_who_logged_in_is_known_from_the_kernel_and_not_from_the_environment(
    uid: str, name: str | None, tmp_path: Path
):
    (tmp_path / "loginuid").write_text(uid)
    assert logged_in(tmp_path / "loginuid") == name
    assert logged_in(tmp_path / "nowhere") is None
