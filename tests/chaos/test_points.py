"""The points are where the service's code says, and whoever comes to the armed one waits there."""

import importlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from tests.chaos import injected
from tests.chaos.injected import POINTS, SHORTER, Injected, Missing, Point


def module_of(function: str) -> ModuleType:
    return importlib.import_module(function.partition(":")[0])


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_what_a_point_hangs_on_is_there(point: Point):
    for function in filter(None, (point.function, point.commit)):
        owner, name = injected.resolve(module_of(function), function)
        assert callable(getattr(owner, name))


@pytest.mark.parametrize("constant", SHORTER)
def test_what_is_made_shorter_is_there_and_longer(constant: str):
    owner, name = injected.resolve(module_of(constant), constant)
    assert getattr(owner, name) > SHORTER[constant]


def test_what_is_not_there_stops_the_part_with_a_sentence(tmp_path: Path):
    with pytest.raises(Missing, match=r"dialer\.callfile:write is no longer there"):
        Injected("dial", tmp_path).wrap(ModuleType("dialer.callfile"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[], str]:
    """A stand-in for the function at which two points are."""
    module = ModuleType("dialer.callfile")
    module.__dict__["write"] = lambda: "written"
    Injected("dial", tmp_path).wrap(module)
    return module.__dict__["write"]


def held(write: Callable[[], str], directory: Path) -> str:
    """Whether somebody who writes is held: they are let go, and it is said what they came back with."""
    came_back: list[str] = []
    writer = threading.Thread(target=lambda: came_back.append(write()))
    writer.start()
    reached = directory / "reached"
    while writer.is_alive() and not reached.exists():
        time.sleep(0.001)
    was_held = writer.is_alive() and reached.exists()
    (directory / "go").touch()
    writer.join(5)
    for left in (reached, directory / "go"):
        left.unlink(missing_ok=True)
    return f"{'held' if was_held else 'not held'}, {came_back[0]}"


@pytest.mark.parametrize("point", ["attempt committed", "renamed"])
def test_who_comes_to_the_armed_point_is_held_there_once(write: Callable[[], str], tmp_path: Path, point: str):
    (tmp_path / "armed").write_text(f"hold {point}")
    assert held(write, tmp_path) == "held, written"
    assert held(write, tmp_path) == "not held, written"


def test_nobody_is_held_at_a_point_that_is_not_armed(write: Callable[[], str], tmp_path: Path):
    (tmp_path / "armed").write_text("hold PIN received")
    assert held(write, tmp_path) == "not held, written"


@pytest.mark.parametrize(("when", "kept"), [("before", []), ("after", [(1,)])])
def test_a_connection_is_cut_at_commit(cluster: str, tmp_path: Path, when: str, kept: list[tuple[int]]):
    """What was claimed is committed, or is not; whoever asked for it learns neither."""
    claims, connections = ModuleType("db.attempts"), ModuleType("psycopg.connection")
    claims.__dict__.update(claim=lambda conn: conn.execute("insert into cut values (1)"), answered=None, confirm=None)

    class Connection(psycopg.Connection):
        pass

    connections.__dict__["Connection"] = Connection
    injection = Injected("dial", tmp_path)
    injection.wrap(claims)
    injection.wrap(connections)
    with psycopg.connect(cluster, autocommit=True) as other:
        other.execute("create table cut (number int)")
        try:
            (tmp_path / "armed").write_text(f"cut {when} attempt committed")
            with pytest.raises(psycopg.OperationalError, match="cut at COMMIT"), Connection.connect(cluster) as conn:
                claims.__dict__["claim"](conn)
            assert other.execute("select number from cut").fetchall() == kept
        finally:
            other.execute("drop table cut")
