import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from prompts import voice
from prompts.build import build
from prompts.catalogue import Utterance
from prompts.engines import Voices
from prompts.sounds import NoVoice, Sounds
from tests.prompts.conftest import Server, Tone

SENTENCE = (
    "John Smith was released from the Boone County Jail on Sunday, November fifteenth, at nine forty in the morning."
)

PATIENCE = 60  # seconds, for what is proven here is that it comes: piper, as all else, may get little of the machine


def sentence(words: str) -> Utterance:
    return Utterance(words, "en", None)


def ask(server: Server, request: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(server.socket))
        line.sendall(request)
        return json.loads(line.makefile("rb").readline())


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_sentence_is_made_once_and_found_afterwards(tmp_path: Path, piper: Voices) -> None:
    with Server(tmp_path, piper, PATIENCE) as server:
        path = server.sounds.path(sentence(SENTENCE))
    with wave.open(f"{path}.wav", "rb") as sound:
        assert 5 < sound.getnframes() / sound.getframerate() < 8
    # The server is gone: the file is used without asking.
    assert server.sounds.path(sentence(SENTENCE)) == path
    assert Path(path).parent == tmp_path / "sounds" / "said"
    assert "Smith" not in path


def test_a_prompt_that_was_built_needs_no_server(tmp_path: Path, tone: Tone) -> None:
    build({"welcome": "Welcome."}, Voices("en", [tone]), tmp_path / "sounds")
    sounds = Sounds(tmp_path / "sounds", tmp_path / "nobody.sock", {"en": ["tone"]})
    assert sounds.path(Utterance("Welcome.", "en", "welcome")) == str(tmp_path / "sounds" / "en" / "welcome")


def test_a_prompt_whose_sound_is_missing_is_spoken_all_the_same(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        path = server.sounds.path(Utterance("Welcome.", "en", "welcome"))
        assert Path(f"{path}.wav").exists()
        assert server.sounds.path(Utterance("Welcome.", "en", "welcome")) == path
    assert len(tone.asked) == 1


def test_many_who_ask_for_the_same_words_get_one_sound_made_once(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        tone.goes_on.clear()
        paths: list[str] = []
        threads = [
            threading.Thread(target=lambda: paths.append(server.sounds.path(sentence("Hello.")))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        assert tone.began.wait(5)
        tone.goes_on.set()
        for thread in threads:
            thread.join()
    assert (len(paths), len(set(paths)), tone.asked) == (8, 1, ["Hello."])


def test_who_waits_at_a_telephone_goes_before_who_works_ahead(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        tone.goes_on.clear()
        ahead = server.sounds.prepare([sentence(f"Ahead {n}.") for n in range(3)])
        others = server.sounds.prepare([sentence("Others ahead.")])
        assert tone.began.wait(5)
        urgent = threading.Thread(target=server.sounds.path, args=(sentence("Urgent."),))
        urgent.start()
        wait_until(lambda: server.server.turn._urgent == 1)
        tone.goes_on.set()
        for thread in (ahead, others, urgent):
            thread.join()
    assert tone.asked[1] == "Urgent."
    assert len(tone.asked) == 5


def test_prepared_sentences_are_there_when_they_are_needed(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        server.sounds.prepare([sentence("One."), sentence("Two.")]).join()
        server.sounds.path(sentence("Two."))
    assert tone.asked == ["One.", "Two."]


def test_preparing_fails_in_silence(tmp_path: Path, away: Tone) -> None:
    with Server(tmp_path, Voices("en", [away])) as server:
        server.sounds.prepare([sentence("One."), Utterance("Uno.", "es", None)]).join()
    server.sounds.prepare([sentence("One.")]).join()


def test_a_slow_engine_is_not_waited_for_beyond_the_patience(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone]), patience=0.3) as server:
        tone.goes_on.clear()
        began = time.monotonic()
        with pytest.raises(NoVoice, match="took too long"):
            server.sounds.path(sentence("Hello."))
        assert time.monotonic() - began < 5  # the engine stands for ten
        tone.goes_on.set()
        wait_until(lambda: not server.server.turn.busy())
        server.sounds.path(sentence("Hello."))  # made meanwhile
    assert len(tone.asked) == 1


def test_a_sentence_that_takes_long_is_not_ready_yet_and_made_all_the_same(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone]), PATIENCE) as server:
        tone.goes_on.clear()
        began = time.monotonic()
        assert not server.sounds.is_ready(sentence("Hello."), 0.2)
        assert 0.2 <= time.monotonic() - began < 5  # the engine stands for ten
        assert not server.sounds.is_ready(sentence("Behind it."), 0.2)
        tone.goes_on.set()
        assert server.sounds.is_ready(sentence("Hello."), PATIENCE)
        wait_until(lambda: tone.asked == ["Hello.", "Behind it."])


def test_a_sentence_without_a_voice_is_not_waited_for(tmp_path: Path, away: Tone) -> None:
    with Server(tmp_path, Voices("en", [away])) as server:
        assert server.sounds.is_ready(sentence("Hello."), 5)
    assert server.sounds.is_ready(sentence("Hello."), 5)
    with pytest.raises(NoVoice):
        server.sounds.path(sentence("Hello."))


def test_what_nobody_waits_for_any_more_is_not_made(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        tone.goes_on.clear()
        first = server.sounds.prepare([sentence("First.")])
        assert tone.began.wait(5)
        with pytest.raises(NoVoice, match="too much to do"):
            server.sounds.path(sentence("Second."))
        tone.goes_on.set()
        first.join()
    assert tone.asked == ["First."]


def test_without_the_voice_process_there_is_a_clear_error_at_once(tmp_path: Path) -> None:
    sounds = Sounds(tmp_path, tmp_path / "nobody.sock", {"en": ["piper"]})
    with pytest.raises(NoVoice, match=r"cannot be reached \(No such file or directory\); is it running\?"):
        sounds.path(sentence(SENTENCE))


def test_a_language_without_an_engine_is_named(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        with pytest.raises(NoVoice, match="no engine is set for the language 'es'"):
            server.sounds.path(Utterance("Hola.", "es", None))
        assert "'es'" in ask(server, b'{"language": "es", "words": "Hola."}\n')["error"]


def test_what_a_second_choice_spoke_is_replaced_when_the_first_is_back(
    tmp_path: Path, away: Tone, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompts.engines.REST", 0)
    with Server(tmp_path, Voices("en", [away, tone])) as server:
        second = server.sounds.path(sentence("Hello."))
        away.fails = None
        first = server.sounds.path(sentence("Hello."))
        assert first != second
        assert server.sounds.path(sentence("Hello.")) == first
    assert (len(away.asked), len(tone.asked)) == (2, 1)


@pytest.mark.parametrize(
    ("request_line", "says"),
    [
        (b"\n", "not a line of JSON"),
        (b"hello\n", "not a line of JSON"),
        (b"\xff\n", "not a line of JSON"),
        (b"[]\n", "not a line of JSON"),
        (b'{"language": "en"}\n', "not a line of JSON"),
        (b'{"language": "en", "words": "x", "patience": []}\n', "not a line of JSON"),
        (b'{"language": "en", "words": ""}\n', "no words"),
        (b'{"language": "en", "words": 5}\n', "no words"),
        (b'{"language": ["en"], "words": "x"}\n', "no words"),
        (b'{"language": "en", "words": "%s"}\n' % (b"x" * 501), "501 letters; at most 500"),
        (b'{"language": "en", "words": "%s"}\n' % (b"x" * 20000), "not a line of JSON"),
    ],
)
def test_wrong_requests_get_an_error_and_the_server_lives(
    tmp_path: Path, tone: Tone, request_line: bytes, says: str
) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        assert says in ask(server, request_line)["error"]
        assert "path" in ask(server, b'{"language": "en", "words": "Hello."}\n')


def test_who_hangs_up_or_says_nothing_does_no_harm(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server.socket))
        with socket.socket(socket.AF_UNIX) as short:
            short.connect(str(server.socket))
            short.sendall(b'{"language": "en", "words": "Hello."}\n')
        assert "path" in ask(server, b'{"language": "en", "words": "Hello."}\n')


def test_a_folder_that_cannot_be_written_is_an_error_without_the_words(
    tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("prompts.voice.write", full)
    with (
        Server(tmp_path, Voices("en", [tone])) as server,
        pytest.raises(NoVoice, match="cannot be written: No space left on device"),
    ):
        server.sounds.path(sentence(SENTENCE))
    assert "Smith" not in caplog.text


def test_an_unforeseen_error_does_not_show_the_words(
    tmp_path: Path,
    tone: Tone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SENTENCE)

    monkeypatch.setattr("prompts.voice.write", broken)
    caplog.set_level(logging.DEBUG)
    with Server(tmp_path, Voices("en", [tone])) as server, pytest.raises(NoVoice, match="went away"):
        server.sounds.path(sentence(SENTENCE))
    assert "a request failed: RuntimeError" in caplog.text
    assert "Smith" not in caplog.text + "".join(capfd.readouterr())


def test_only_its_own_user_may_ask(tmp_path: Path, tone: Tone) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        mode = server.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert mode & 0o777 == 0o600
    assert not server.socket.exists()


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path, tone: Tone) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "voice.sock"))
    with Server(tmp_path, Voices("en", [tone])) as server:
        server.sounds.path(sentence("Hello."))


def test_the_heart_beats_while_it_works_and_stops_when_an_engine_hangs(
    tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tmp_path, Voices("en", [tone])) as server:
        wait_until(lambda: len(server.beats) > 2)
        tone.goes_on.clear()
        working = server.sounds.prepare([sentence("Hello.")])
        assert tone.began.wait(5)
        before = len(server.beats)
        wait_until(lambda: len(server.beats) > before + 2)
        monkeypatch.setattr(voice, "STUCK", 0.01)
        time.sleep(0.2)
        stopped = len(server.beats)
        time.sleep(0.3)
        assert len(server.beats) == stopped
        tone.goes_on.set()
        working.join()
        wait_until(lambda: len(server.beats) > stopped)


def test_the_oldest_sentences_are_removed_beyond_so_many(tmp_path: Path) -> None:
    for age in range(10):
        sound = tmp_path / f"{age}.wav"
        sound.write_bytes(b"")
        os.utime(sound, (1000 - age, 1000 - age))
    (tmp_path / ".fresh.tmp").write_bytes(b"")
    (tmp_path / ".left.tmp").write_bytes(b"")
    os.utime(tmp_path / ".left.tmp", (1000, 1000))
    voice.sweep(tmp_path, keep=3)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".fresh.tmp", "0.wav", "1.wav", "2.wav"]


def test_the_server_sweeps_when_it_is_idle(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "KEPT", 2)
    monkeypatch.setattr(voice, "SWEEP", 0.05)
    with Server(tmp_path, Voices("en", [tone])) as server:
        for words in ("One.", "Two.", "Three.", "Four."):
            server.sounds.path(sentence(words))
        wait_until(lambda: len(list((server.directory / "said").glob("*.wav"))) == 2)


def test_the_process_warms_up_speaks_and_stops_when_told(tmp_path: Path) -> None:
    program = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from prompts.engines import Voices\n"
        "from prompts.voice import run\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "here = Path(sys.argv[1])\n"
        "voices = {'en': Voices('en', ['piper', 'espeak-ng'])}\n"
        "run(here / 'voice.sock', here / 'sounds', voices, (here / 'beat').touch)\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=stream)
    try:
        wait_until((tmp_path / "beat").exists)
        wait_until(lambda: "piper speaks" in log.read_text())
        sounds = Sounds(tmp_path / "sounds", tmp_path / "voice.sock", {"en": ["piper", "espeak-ng"]}, PATIENCE)
        path = sounds.path(sentence(SENTENCE))
        assert Path(f"{path}.wav").exists()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
    assert code == 0
    assert not (tmp_path / "voice.sock").exists()
    assert "Smith" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_flows_side_loads_neither_engines_nor_numpy() -> None:
    program = (
        "import sys, prompts.sounds; print([m for m in ('numpy', 'soxr', 'piper', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
