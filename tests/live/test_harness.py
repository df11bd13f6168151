"""The means of the live tests themselves: telephone, ears and telephone network, against a small real Asterisk."""

import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from prompts.sound import for_telephone, write
from tests.live.conversation import Telephone
from tests.live.listening import Heard, Library
from tests.live.sip import BEHAVIOURS, Callee
from tests.live.small_asterisk import SmallAsterisk
from tests.live.softphone import RATE, NoSuchThing, Softphone

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = {
    "welcome": "Welcome to the notification line. If you are in danger, hang up and dial nine one one.",
    "menu": "To hear about an offender, press one. To end the call, press two.",
    "menu_again": "To hear about an offender, press one. To hear this again, press three.",
    "ask": "Enter the number, then press pound.",
    "thanks": "Thank you. Goodbye.",
} | {f"digit_{digit}": word for digit, word in enumerate(DIGITS)}
LATER = "The offender John Example was released on Friday, November twentieth."

DIALPLAN = """
[testphone]
exten => 100,1,Answer
 same => n,Playback(/mnt/sounds/en/welcome)
 same => n,Playback(/mnt/sounds/en/thanks)
 same => n,Hangup
exten => 200,1,Answer
 same => n,Background(/mnt/sounds/en/menu_again)
 same => n,WaitExten(10)
exten => 1,1,Verbose(1,PRESSED ONE)
 same => n,Read(KEYS,/mnt/sounds/en/ask,11,,1,10)
 same => n,Verbose(1,KEYS ${KEYS})
 same => n,Set(AT=0)
 same => n(next),GotoIf($[${AT} >= ${LEN(${KEYS})}]?done)
 same => n,Playback(/mnt/sounds/en/digit_${KEYS:${AT}:1})
 same => n,Set(AT=$[${AT} + 1])
 same => n,Goto(next)
 same => n(done),Playback(/mnt/sounds/en/thanks)
exten => 3,1,Goto(200,1)
exten => 300,1,Answer
 same => n,Playback(/mnt/sounds/en/thanks)
 same => n,Wait(4)
 same => n,Playback(/mnt/sounds/said/abc123)
 same => n,Playback(/mnt/sounds/en/thanks)
[person]
exten => s,1,Answer
 same => n,Background(/mnt/sounds/en/welcome)
 same => n,WaitExten(5)
exten => 2,1,Playback(/mnt/sounds/en/thanks)
[outside]
exten => _X.,1,Dial(PJSIP/${EXTEN}@trunk,2)
 same => n,Verbose(1,BECAME ${DIALSTATUS} ${HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)})
[nowhere]
"""


def speak(words: str, path: Path) -> None:
    spoken = subprocess.run(["espeak-ng", "--stdout", words], check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(spoken), dtype="int16")
    write(path, for_telephone(samples, rate))


@pytest.fixture(scope="module")
def asterisk() -> Iterator[SmallAsterisk]:
    sounds = Path(tempfile.mkdtemp(prefix="sounds-"))
    try:
        for name, words in WORDS.items():
            speak(words, sounds / "en" / f"{name}.wav")
        (sounds / "said").mkdir()
        speak(LATER, sounds / "said" / "later.wav")
        (sounds / "said" / "later.wav").rename(sounds / "later")
        with SmallAsterisk(DIALPLAN, sounds) as small:
            shutil.copytree(sounds / "said", small.directory / "sounds/said", dirs_exist_ok=True)
            shutil.copy(sounds / "later", small.directory / "later")
            yield small
    finally:
        shutil.rmtree(sounds)


@pytest.fixture(scope="module")
def phone(asterisk: SmallAsterisk) -> Iterator[Telephone]:
    library = Library(asterisk.directory / "sounds", {"abc123": LATER})
    with Telephone(asterisk.password, library, port=asterisk.port, logs=[asterisk.directory / "log/full"]) as telephone:
        yield telephone


def test_two_sounds_are_heard_in_order_and_in_time(phone: Telephone) -> None:
    with phone.calls("100") as call:
        assert call.call.answered is not None
        call.hears("welcome")
        assert time.monotonic() - call.call.answered < 1
        call.hears("thanks", within=15)
        now = time.monotonic() - call.call.answered
        call.is_hung_up()
    welcome, thanks = call.heard.transcript()
    assert (welcome.what, thanks.what) == ("welcome", "thanks")
    assert thanks.at == pytest.approx(welcome.at + welcome.length, abs=0.3)
    assert now - thanks.at < 1, "heard within a second of being sent"
    assert welcome.seconds == pytest.approx(welcome.length, abs=0.05)
    assert call.heard.cpu_seconds < 0.1 * call.heard.transcript()[-1].at
    assert not any(level.clipped for level in call.heard.levels())
    assert all(-28 < level.speech < -18 and level.peak < -2 for level in call.heard.levels())


def test_a_key_interrupts_what_is_being_said(asterisk: SmallAsterisk, phone: Telephone) -> None:
    with phone.calls("200") as call:
        call.hears("menu_again").presses("1").hears("ask")
        assert "PRESSED ONE" in asterisk.log()
        menu = call.heard.transcript()[0]
        assert menu.seconds < menu.length - 1
        call.presses("5735550142#").hears_digits("5735550142").hears("thanks").is_hung_up()
        assert "KEYS 5735550142" in asterisk.log()


def test_keys_with_pauses_arrive_once_each(asterisk: SmallAsterisk, phone: Telephone) -> None:
    with phone.calls("200") as call:
        call.presses("1").hears("ask").presses("1123#", gap=0.4).hears_digits("1123").hears("thanks")
    assert "KEYS 1123" in asterisk.log()


def test_sounds_with_the_same_beginning_are_told_apart(phone: Telephone) -> None:
    with phone.calls("200") as call:
        call.hears("menu_again", whole=True).never_heard("menu").presses("3").hears("menu_again").hangs_up()
    assert [line.what for line in call.heard.transcript()] == ["menu_again"] * 2


def test_a_sentence_made_during_the_call_is_heard_by_its_words(asterisk: SmallAsterisk, phone: Telephone) -> None:
    made = asterisk.directory / "sounds/said/abc123.wav"
    with phone.calls("300") as call:
        call.hears("thanks").waits(1)
        shutil.copy(asterisk.directory / "later", made)
        made.chmod(0o644)
        call.hears("john example").hears("thanks", whole=True).is_hung_up()
    ((begin, seconds),) = call.heard.silences(3)
    assert 0.5 < begin < 3
    assert 3.9 < seconds < 4.6
    with pytest.raises(NoSuchThing, match="silence of 4"):
        call.is_never_silent()


def test_what_was_not_heard_is_told_with_what_was(phone: Telephone) -> None:
    with phone.calls("100") as call, pytest.raises(NoSuchThing) as failure:
        call.hears("ask", within=1)
    assert "did not hear 'ask' (waited 1 s); call up" in str(failure.value)
    assert "welcome  (" in str(failure.value)
    assert "--- full\n" in str(failure.value)


def test_a_sound_that_no_file_holds_is_in_the_transcript(
    asterisk: SmallAsterisk, phone: Telephone, tmp_path: Path
) -> None:
    (tmp_path / "en").mkdir()
    shutil.copy(asterisk.directory / "sounds/en/thanks.wav", tmp_path / "en")
    with Telephone(asterisk.password, Library(tmp_path), port=asterisk.port) as stranger, stranger.calls("100") as call:
        call.hears("thanks", whole=True)
    phone.register()  # the stranger took its place
    unknown, *_, thanks = call.heard.transcript()
    assert (unknown.what, thanks.what) == ("(unknown sound)", "thanks")


def test_an_incoming_call_rings_is_answered_and_hears_keys(asterisk: SmallAsterisk, phone: Telephone) -> None:
    assert phone.incoming() is None
    asked = time.monotonic()
    asterisk.call_file(
        "Channel: PJSIP/testphone\nCallerID: <8665550182>\nMaxRetries: 0\nContext: person\nExtension: s\n"
    )
    ringing = phone.wait_ringing(5)
    assert ringing.began - asked < 2
    assert "8665550182" in ringing.peer
    with phone.is_called() as call:
        call.hears("welcome").presses("2").hears("thanks", whole=True).is_hung_up()
    assert call.call.reason


@pytest.mark.parametrize("refused", [True, False])
def test_a_call_that_is_not_answered(asterisk: SmallAsterisk, phone: Telephone, *, refused: bool) -> None:
    asterisk.call_file("Channel: PJSIP/testphone\nWaitTime: 2\nMaxRetries: 0\nContext: person\nExtension: s\n")
    call = phone.wait_ringing(5)
    if refused:
        phone.hang_up()
    else:
        phone.wait_ended(5)
    assert call.answered is None
    assert call.state == "ended"
    assert phone.incoming() is None


def test_it_can_answer_by_itself(asterisk: SmallAsterisk, phone: Telephone) -> None:
    with Softphone(asterisk.password, port=asterisk.port, auto_answer=True) as other:
        asterisk.call_file("Channel: PJSIP/testphone\nMaxRetries: 0\nContext: person\nExtension: s\n")
        call = other.wait_call(5)
        other.wait_state(call, "up", 5)
        other.hang_up()
    phone.register()  # the other one took its place


def test_a_number_that_is_not_there(phone: Telephone) -> None:
    call = phone.call("999")
    assert (call.state, call.answered) == ("ended", None)
    assert call.reason.startswith("404")


OUTCOMES = {
    "busy": "BUSY SIP 486 Busy Here",
    "not found": "CHANUNAVAIL SIP 404 Not Found",
    "declined": "CHANUNAVAIL SIP 603 Decline",
    "no room": "CONGESTION SIP 503 Service Unavailable",
    "no answer": "NOANSWER SIP 180 Ringing",
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_telephone_network(asterisk: SmallAsterisk, behaviour: str) -> None:
    before = asterisk.log().count("BECAME")
    with Callee(behaviour, port=asterisk.trunk_port, seconds=1) as network:
        begun = time.time()
        asterisk.call_file("Channel: Local/5735550142@outside/n\nMaxRetries: 0\nContext: person\nExtension: s\n")
        rang = network.wait_rang()
        assert rang.number == "5735550142"
        assert 0 <= rang.at - begun < 2
        if behaviour in OUTCOMES:
            until = time.monotonic() + 5
            while asterisk.log().count("BECAME") == before and time.monotonic() < until:
                time.sleep(0.05)
            assert asterisk.log().rsplit("BECAME ", 1)[1].startswith(OUTCOMES[behaviour])
        if behaviour in {"no answer", "answers"}:
            until = time.monotonic() + 15
            while not network.given_up and time.monotonic() < until:
                time.sleep(0.05)
            assert len(network.given_up) == 1
        network.stays_quiet(1)
        with pytest.raises(NoSuchThing, match="1 calls in"):
            network.wait_rang(2, timeout=0.1)


def test_the_telephone_network_answers_when_asked_whether_it_is_there(asterisk: SmallAsterisk) -> None:
    with Callee("busy", port=asterisk.asked_port) as network:
        asterisk.wait_log("Endpoint asked is now Reachable", 5)
        assert network.rang == []


def test_nothing_is_left_behind(asterisk: SmallAsterisk) -> None:
    def children() -> set[str]:
        me = Path(f"/proc/{os.getpid()}/task")
        return {pid for task in me.iterdir() for pid in (task / "children").read_text().split()}

    before = children()
    library = Library(asterisk.directory / "sounds")
    for _ in range(2):
        with Callee("busy") as network:
            with Telephone(asterisk.password, library, port=asterisk.port) as phone, phone.calls("100") as call:
                call.hears("welcome")
            assert phone._process.poll() is not None
        assert network._process.poll() is not None
        assert not phone.directory.exists()
        assert not network.directory.exists()
    assert children() == before


# The ears alone, on sound put together here.


def through_g711(samples: np.ndarray) -> bytes:
    wav = io.BytesIO()
    soundfile.write(wav, samples.astype(np.int16), RATE, format="WAV", subtype="ULAW")
    wav.seek(0)
    return soundfile.read(wav, dtype="int16")[0].astype("<i2").tobytes()


def hear(library: Library, *pieces: np.ndarray) -> Heard:
    """Everything at once, then the end of the call."""
    data = [through_g711(np.concatenate(pieces))]
    heard = Heard(lambda: data.pop() if data else b"", library, ended=lambda: not data)
    heard._thread.join(10)
    return heard


def voice(seed: int, seconds: float) -> np.ndarray:
    """Noise that comes and goes like syllables, quiet at both ends."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    wave = np.convolve(rng.standard_normal(count), np.ones(6) / 6, mode="same")
    syllables = np.abs(np.sin(np.arange(count) / RATE * np.pi * 4 + seed)) + 0.1
    wave = wave * syllables * 6000
    wave[:800] = wave[-800:] = 0
    return wave


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "en").mkdir()
    return tmp_path


def put(shelf: Path, name: str, samples: np.ndarray) -> None:
    write(shelf / "en" / f"{name}.wav", samples.astype(np.int16))


def test_a_sound_that_another_begins_with_is_not_taken_for_it(shelf: Path) -> None:
    hundred = voice(1, 2)
    one = hundred[: RATE // 2]
    put(shelf, "one", one)
    put(shelf, "hundred", hundred)
    put(shelf, "end", voice(2, 1))
    heard = hear(Library(shelf), one, hundred, one, voice(2, 1), hundred[:3600], voice(2, 1))
    assert [line.what for line in heard.transcript()] == ["one", "hundred", "one", "end", "hundred or one", "end"]


def test_short_sounds_one_after_the_other(shelf: Path) -> None:
    digits = {str(digit): voice(10 + digit, 0.3) for digit in range(10)}
    for name, samples in digits.items():
        put(shelf, name, samples)
    heard = hear(Library(shelf), *(digits[digit] for digit in "5735550142"))
    assert "".join(line.what for line in heard.transcript()) == "5735550142"


def test_lost_packets_do_not_break_a_sound(shelf: Path) -> None:
    sound = voice(3, 3)
    put(shelf, "sound", sound)
    heard = hear(Library(shelf), sound[: 160 * 50], sound[160 * 53 :])
    (line,) = heard.transcript()
    assert (line.what, line.seconds) == ("sound", pytest.approx(2.9, abs=0.1))


def test_two_files_with_the_same_sound_are_one_sound_with_two_names(shelf: Path) -> None:
    put(shelf, "sorry", voice(4, 1))
    put(shelf, "pardon", voice(4, 1))
    heard = hear(Library(shelf), voice(4, 1))
    assert heard.wait_for("sorry") == heard.wait_for("en/pardon") == 0
    assert [line.what for line in heard.transcript()] == ["pardon = sorry"]
