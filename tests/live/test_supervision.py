"""The real supervisor with real processes: order, restarts, and nothing left behind, however it ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from movans import asterisk, supervision, watchdog
from movans.settings import EXAMPLE, Settings, load

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts processes of other users, which only root can")

CODE = Path(asterisk.__file__).parent.parent

# In place of movans/__main__.py: the parts of others are processes that beat and end slowly; ours are the real ones.
MAIN = """
import signal, sys, time
from pathlib import Path
from movans import asterisk, settings, watchdog
from movans.heartbeat import Heartbeat

settings = settings.load(Path(sys.argv[2]))
part = sys.argv[3]
print(part, "starts", flush=True)
if part == "asterisk":
    asterisk.run(settings)
if part == "watchdog":
    watchdog.watch(settings, lambda text: print(text, flush=True))
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
beat = Heartbeat(settings.state / "run" / f"{part}.beat")
while not ended:
    beat.beat()
    time.sleep(0.25)
time.sleep(0.5)
(settings.state / "run" / f"{part}.ended").touch()
"""


def eventually(true: Callable[[], object], what: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(0.05)


def pids(settings: Settings) -> dict[str, int]:
    return {name: process.pid for name, process in supervision.processes(settings).items()}


def answers(settings: Settings) -> bool:
    try:
        return "0 active" in asterisk.cli(settings, "core show channels count")
    except asterisk.NoAsterisk:
        return False


def postgres_answers(settings: Settings) -> bool:
    try:
        watchdog.ask_postgres(settings.state / "run" / ".s.PGSQL.5432")
    except OSError:
        return False
    return True


def alive(state: Path) -> list[str]:
    """The processes that have to do with this state directory."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(state) in line:
            found.append(line)
    return found


@pytest.fixture
def settings() -> Iterator[Settings]:
    state = Path(tempfile.mkdtemp(prefix="movans-supervision."))
    state.chmod(0o755)
    (state / "app").mkdir()
    # The code's directory may be closed to other users, so it is copied, as the server does.
    for name in ("movans", "feed", "db", "dialplan"):  # settings know the formats of feeds
        shutil.copytree(CODE / name, state / "app" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (state / "app" / "movans.yaml").write_bytes(EXAMPLE.read_bytes())
    (state / "app" / "movans" / "__main__.py").write_text(MAIN, encoding="utf-8")
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"state": str(state), "agi_port": 24573}
    content["sip"] = {"address": "127.0.0.1", "port": 25060, "rtp_ports": [22000, 22099]}
    (state / "movans.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    settings = load(state / "movans.yaml")
    supervision.prepare(settings)
    program = Path(supervision.postgres_program())
    directory = state / "postgres"
    directory.mkdir(mode=0o700)
    shutil.chown(directory, "movans", "movans")
    subprocess.run(
        ["setpriv", "--reuid", "movans", "--regid", "movans", "--clear-groups",
         str(program.with_name("initdb")), "-D", str(directory), "-A", "trust", "--no-sync"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    yield settings
    eventually(lambda: not alive(state), "nothing left", 20)
    shutil.rmtree(state)


def test_parts_start_are_restarted_and_stop_in_order(settings: Settings) -> None:
    supervisord = supervision.start(settings, settings.state / "movans.yaml")
    try:
        assert set(supervision.wait_for(settings, 60).values()) == {"RUNNING"}
        for name in ("voice", "serve", "dial"):
            eventually((settings.state / "run" / f"{name}.beat").exists, f"{name} beats", 30)
        assert (settings.state / "log" / "serve.log").read_text() == "serve starts\n"
        eventually(lambda: answers(settings), "Asterisk", 30)

        eventually((settings.state / "run" / "watchdog.beat").exists, "the watchdog looks", 30)
        time.sleep(2)  # it has seen a sign of each: from now on it does not wait a minute

        # What dies is started again, whoever kills it; what stands still is killed first.
        before = pids(settings)
        os.kill(before["voice"], signal.SIGKILL)
        children = Path(f"/proc/{before['postgres']}/task/{before['postgres']}/children").read_text().split()
        for standing in (before["serve"], before["asterisk"], before["postgres"], *map(int, children)):
            os.kill(standing, signal.SIGSTOP)
        stopped_at = time.monotonic()
        for name, limit in (("voice", 10), ("serve", 20), ("asterisk", 40), ("postgres", 40)):
            eventually(lambda name=name: pids(settings)[name] not in {0, before[name]}, f"a new {name}", limit)
            if name == "postgres":  # what hangs of the old one would keep the new one from starting
                eventually(lambda: postgres_answers(settings), "PostgreSQL", 30)
            print(f"{name} again after {time.monotonic() - stopped_at:.1f} s")
        eventually(lambda: set(supervision.states(settings).values()) == {"RUNNING"}, "all running again", 30)
        after = pids(settings)
        assert (after["dial"], after["watchdog"]) == (before["dial"], before["watchdog"])
        said = (settings.state / "log" / "watchdog.log").read_text()
        for name in ("serve", "asterisk", "postgres"):
            assert f"{name} (process {before[name]}) is killed: no sign of life for" in said
    finally:
        supervision.stop(supervisord, settings)
    ended = [(settings.state / "run" / f"{name}.ended").stat().st_mtime for name in ("dial", "serve", "voice")]
    log = (settings.state / "log" / "supervisor.log").read_text()
    stops = [line.split("stopped: ")[1].split()[0] for line in log.splitlines() if "stopped: " in line]
    assert stops == ["watchdog", "alarm", "intake", "dial", "asterisk", "serve", "voice", "postgres"]
    assert ended == sorted(ended)
    assert ended[1] - ended[0] >= 0.5
    assert not alive(settings.state)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", settings.sip.port))


def test_nothing_is_left_when_the_supervisor_is_killed(settings: Settings) -> None:
    supervisord = supervision.start(settings, settings.state / "movans.yaml")
    assert set(supervision.wait_for(settings, 60).values()) == {"RUNNING"}
    supervisord.kill()
    supervisord.wait()
    eventually(lambda: not alive(settings.state), "all parts gone", 20)
    with pytest.raises(supervision.NoSupervisor):
        supervision.states(settings)


def test_everything_stops_when_the_process_that_started_it_is_killed(settings: Settings) -> None:
    code = (
        "import sys, time; from pathlib import Path; from movans import settings, supervision; "
        "file = Path(sys.argv[1]); supervision.start(settings.load(file), file); time.sleep(100)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(settings.state / "movans.yaml")], cwd=CODE)
    assert set(supervision.wait_for(settings, 60).values()) == {"RUNNING"}
    server.kill()
    server.wait()
    eventually(lambda: not alive(settings.state), "all parts gone", 20)
