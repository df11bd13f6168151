"""The voice process: turns sentences into sounds for whoever asks at its Unix socket.

A connection carries one request, a line of JSON: {"language": "en", "words": "...", "patience": 2.5, "ahead": false},
and gets one line back: {"path": "/.../said/HASH"} (without extension) or {"error": "..."}. ``patience`` is how many
seconds the other side will wait, ``ahead`` says that nobody is waiting at a telephone yet. Words are never logged.
"""

import json
import logging
import os
import signal
import socketserver
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from prompts.engines import Voices
from prompts.sound import open_folder, write
from prompts.sounds import LONGEST_REQUEST, MADE, PATIENCE, NoVoice, made_at

log = logging.getLogger(__name__)

LONGEST = 500  # letters in one request; memory grows with them, and more is no sentence
STUCK = 30  # seconds after which an engine at work counts as hanging; the heartbeat stops and the process is replaced
KEPT = 2000  # sentences kept; about 100 kB each
SWEEP = 60  # seconds between looking whether there are more


class TooLate(NoVoice):
    pass


class Turn:
    """One at a time; those whom somebody waits for at a telephone go before those who work ahead."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy_since: float | None = None
        self._urgent = 0

    @contextmanager
    def taken(self, patience: float, *, ahead: bool) -> Iterator[None]:
        """Raises TooLate when the turn does not come in time: nobody waits for the sound any more."""
        with self._changed:
            self._urgent += not ahead
            try:
                if not self._changed.wait_for(lambda: self._free(ahead=ahead), patience):
                    raise TooLate("the voice process has too much to do")
                self._busy_since = time.monotonic()
            finally:
                self._urgent -= not ahead
        try:
            yield
        finally:
            with self._changed:
                self._busy_since = None
                self._changed.notify_all()

    def busy(self) -> float:
        """For how many seconds the work in hand has lasted; 0 when there is none."""
        since = self._busy_since
        return 0 if since is None else time.monotonic() - since

    def _free(self, *, ahead: bool) -> bool:
        return self._busy_since is None and not (ahead and self._urgent)


class VoiceServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, socket: Path, directory: Path, voices: Mapping[str, Voices], beat: Callable[[], None]) -> None:
        self.directory = directory
        self.voices = voices
        self.turn = Turn()
        self._beat = beat
        self._socket = socket
        self._sweep_at = 0.0
        open_folder(directory / MADE)
        socket.unlink(missing_ok=True)
        before = os.umask(0o177)  # only this user may ask
        try:
            super().__init__(str(socket), _Request)
        finally:
            os.umask(before)

    def say(self, language: str, words: str, patience: float, *, ahead: bool) -> Path:
        """The sentence's sound, made if need be. Raises NoVoice."""
        if language not in self.voices:
            raise NoVoice(f"no engine is set for the language {language!r} (setting voices)")
        voices = self.voices[language]
        with self.turn.taken(patience, ahead=ahead):
            # Another may have asked for the same while this one waited.
            best = made_at(self.directory, language, words, voices.names[0])
            if best.exists():
                return best
            samples, engine = voices.speak(words)
            sound = made_at(self.directory, language, words, engine)
            write(sound, samples)
            return sound

    def warm_up(self) -> None:
        """Load the engines and let each language speak once: the very first sentence takes longest."""
        for language, voices in self.voices.items():
            try:
                with self.turn.taken(60, ahead=False):
                    _, engine = voices.speak("Good morning.")
                log.info("language %s: %s speaks", language, engine)
            except NoVoice as error:
                log.error("language %s has no voice: %s", language, error)

    def service_actions(self) -> None:
        """What the loop does between connections."""
        if self.turn.busy() < STUCK:
            self._beat()
        if time.monotonic() > self._sweep_at and not self.turn.busy():
            self._sweep_at = time.monotonic() + SWEEP
            sweep(self.directory / MADE, KEPT)

    def server_close(self) -> None:
        super().server_close()
        self._socket.unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as in socketserver
        """As in socketserver, but a traceback could show the words."""
        kind = sys.exc_info()[0]
        log.error("a request failed: %s", kind.__name__ if kind else "")


class _Request(socketserver.StreamRequestHandler):
    server: VoiceServer  # pyright: ignore[reportIncompatibleVariableOverride] - the only one that uses it
    timeout = 5

    def handle(self) -> None:
        try:
            reply = {"path": str(self._sound().with_suffix(""))}
        except NoVoice as error:
            reply = {"error": str(error)}
        except OSError as error:
            log.error("a sound cannot be written: %s", error.strerror)
            reply = {"error": f"the sound cannot be written: {error.strerror}"}
        try:
            self.wfile.write(json.dumps(reply).encode() + b"\n")
        except OSError:
            log.info("whoever asked did not wait for the answer")

    def _sound(self) -> Path:
        try:
            request = json.loads(self.rfile.readline(LONGEST_REQUEST))
            language, words = request["language"], request["words"]
            patience, ahead = float(request.get("patience", PATIENCE)), bool(request.get("ahead", False))
        except (ValueError, TypeError, KeyError, AttributeError, TimeoutError):
            raise NoVoice("the request is not a line of JSON with language and words") from None
        if not isinstance(language, str) or not isinstance(words, str) or not words.strip():
            raise NoVoice("there are no words to say")
        if len(words) > LONGEST:
            raise NoVoice(f"these are {len(words)} letters; at most {LONGEST} are spoken at once")
        # The rest of the other side's patience is for the work itself.
        return self.server.say(language, words, 0.8 * min(patience, 60), ahead=ahead)


def sweep(folder: Path, keep: int) -> None:
    """Remove the oldest sentences beyond so many, and what a killed process left half-written an hour ago."""
    for rest in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # just finished
            if rest.stat().st_mtime < time.time() - 3600:
                rest.unlink()
    sounds = sorted(folder.glob("*.wav"), key=lambda sound: sound.stat().st_mtime)
    for sound in sounds[: max(0, len(sounds) - keep)]:
        sound.unlink()


def run(socket: Path, directory: Path, voices: Mapping[str, Voices], beat: Callable[[], None]) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); the main function of the process.

    It gives way to Asterisk and the flows: while it speaks it could take every core, and they must keep time to 20 ms.
    """
    os.nice(5)

    def stop(*_: Any) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with VoiceServer(socket, directory, voices, beat) as server:
        Thread(target=server.warm_up, name="warm-up", daemon=True).start()
        server.serve_forever()
