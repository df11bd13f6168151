"""The seam to Asterisk: what pyst2 does not do, mended. The other end is played line by line, as Asterisk speaks."""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from agi.channel import TALK, AsteriskChannel, Gone, Hangup, MissingSound
from prompts.catalogue import Utterance

GREETING = b"agi_network: yes\nagi_network_script: hotline\nagi_arg_1: 17\n\n"
WELCOME = Utterance("welcome", "en", "welcome")


class Found:
    def __init__(self, path: str = "/sounds/welcome") -> None:
        self._path = path

    def is_ready(self, utterance: Utterance, within: float) -> bool:  # noqa: ARG002 - as below
        return within > 0

    def path(self, utterance: Utterance) -> str:  # noqa: ARG002 - whatever is said is found in the same place
        return self._path


class Asterisk:
    """Sends the replies that it was given, one for each command, and keeps the commands."""

    def __init__(self, *replies: bytes) -> None:
        self._ours, theirs = socket.socketpair()
        self.reader, self.writer = self._ours.makefile("rb"), self._ours.makefile("wb")
        self.commands: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(theirs, replies))
        self._thread.start()

    def _serve(self, side: socket.socket, replies: tuple[bytes, ...]) -> None:
        with side, side.makefile("rb") as lines:
            side.sendall(GREETING)
            for reply in replies:
                self.commands.append(lines.readline())
                side.sendall(reply)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.writer.close()
        self.reader.close()
        self._ours.close()
        self._thread.join(5)


@pytest.fixture
def asterisks() -> Iterator[list[Asterisk]]:
    made: list[Asterisk] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def connect(asterisks: list[Asterisk]):
    def channel(*replies: bytes, path: str = "/sounds/welcome") -> AsteriskChannel:
        asterisks.append(Asterisk(*replies))
        return AsteriskChannel(asterisks[-1].reader, asterisks[-1].writer, Found(path))

    return channel


def test_the_greeting_names_the_flow_and_its_arguments(connect):
    channel = connect()
    assert (channel.script, channel.arguments) == ("hotline", ["17"])


def test_it_works_outside_the_main_thread_and_leaves_the_signals_alone(connect):
    made: list[AsteriskChannel] = []
    thread = threading.Thread(target=lambda: made.append(connect(b"200 result=49\n")))
    thread.start()
    thread.join(5)
    assert made[0].wait_key(1) == "1"


def test_keys_that_were_pressed_are_written_nowhere(connect, capfd: pytest.CaptureFixture[str]):
    assert connect(b"200 result=55\n").wait_key(1) == "7"
    assert capfd.readouterr() == ("", "")


def test_a_sound_that_played_to_its_end_gives_no_key(connect, asterisks: list[Asterisk]):
    assert connect(b"200 result=0 endpos=1\n").play(WELCOME, "12") == ""
    assert asterisks[0].commands == [b'STREAM FILE "/sounds/welcome" "12"\n']


def test_a_key_that_interrupted_a_sound_is_given(connect):
    assert connect(b"200 result=35 endpos=1\n").play(WELCOME) == "#"


SILENT, TALKED = b"200 result=0\n", b"200 result=1 (2100)\n"


def test_who_talks_on_while_they_are_spoken_to_is_heard(connect, asterisks: list[Asterisk]):
    assert connect(b"200 result=1\n", b"200 result=0\n", TALKED).listen(WELCOME) == TALK
    assert asterisks[0].commands == [
        b'SET VARIABLE TALK_DETECTED ""\n',
        b'EXEC BackgroundDetect "/sounds/welcome,500,1500"\n',
        b'GET FULL VARIABLE "${TALK_DETECTED}"\n',
    ]


def test_who_is_quiet_while_they_are_spoken_to_is_no_machine(connect):
    assert connect(b"200 result=1\n", b"200 result=0\n", SILENT).listen(WELCOME) == ""


def test_while_it_is_quiet_a_word_is_talk(connect, asterisks: list[Asterisk]):
    channel = connect(b"200 result=1 (/sounds)\n", b"200 result=1\n", b"200 result=0\n", TALKED)
    assert channel.listen(None) == TALK
    assert asterisks[0].commands[2] == b'EXEC BackgroundDetect "/sounds/quiet,20,80"\n'


def test_a_key_that_is_pressed_while_it_listens_is_given(connect):
    assert connect(b"200 result=1\n", b"200 result=50\n").listen(WELCOME) == "2"


def test_a_hangup_while_it_listens_is_one(connect):
    channel = connect(b"200 result=1\n", b"200 result=-1\nHANGUP\n", b"511 result=-1 Command Not Permitted\n")
    with pytest.raises(Hangup):
        channel.listen(WELCOME)


def test_after_a_person_was_rung_in_vain_the_call_may_last_as_long_as_any(connect, asterisks: list[Asterisk]):
    done = b"200 result=1\n"
    channel = connect(b"200 result=1 (300)\n", done, b"200 result=0\n", done, b"200 result=1 (1000)\n", done)
    channel.connect("PJSIP/100@trunk-main", 30)
    assert asterisks[0].commands[1:4] == [
        b"SET VARIABLE TIMEOUT(absolute) 3600\n",
        b'EXEC Dial "PJSIP/100@trunk-main,30,r"\n',
        b"SET VARIABLE TIMEOUT(absolute) 300\n",
    ]
    assert asterisks[0].commands[-1] == b"SET VARIABLE MOVANS_ENDS 1300\n"


def test_an_asterisk_that_cannot_listen_plays_all_the_same(connect, asterisks: list[Asterisk]):
    channel = connect(b"200 result=1\n", b"200 result=-2\n", b"200 result=49 endpos=1\n")
    assert channel.listen(WELCOME) == "1"
    assert asterisks[0].commands[2] == b'STREAM FILE "/sounds/welcome" "0123456789*#"\n'


def test_no_key_in_time_is_the_empty_string(connect):
    assert connect(b"200 result=0\n").wait_key(1) == ""


def test_a_closed_connection_means_that_asterisk_has_gone(connect):
    with pytest.raises(Gone):
        connect().wait_key(1)


def test_minus_one_and_the_hangup_line_are_a_hangup(connect):
    channel = connect(b"200 result=-1 endpos=80\nHANGUP\n", b"511 result=-1 Command Not Permitted on a dead channel\n")
    with pytest.raises(Hangup):
        channel.play(WELCOME)
    with pytest.raises(Hangup):
        channel.wait_key(1)


def test_a_hangup_line_between_two_commands_is_a_hangup(connect):
    channel = connect(b"200 result=0\nHANGUP\n", b"511 result=-1 Command Not Permitted on a dead channel\n")
    assert channel.wait_key(1) == ""
    with pytest.raises(Hangup):
        channel.play(WELCOME)


def test_minus_one_on_a_living_channel_is_a_missing_sound(connect):
    with pytest.raises(MissingSound, match="welcome"):
        connect(b"200 result=-1 endpos=0\n", b"200 result=6\n").play(WELCOME)


def test_a_variable_is_read_after_the_hangup_too(connect):
    channel = connect(b"HANGUP\n200 result=1 (SIP 486 Busy Here)\n")
    assert channel.variable("HANGUPCAUSE") == "SIP 486 Busy Here"


def test_a_variable_that_is_not_set_is_empty(connect):
    assert connect(b"200 result=0\n").variable("FLOW_ENDED") == ""


@pytest.mark.parametrize("path", ["/sounds/a\nEXEC System x", "/sounds/a\rb", "/sounds/a\0b"])
def test_a_line_break_in_a_value_is_refused_before_it_is_sent(path: str, connect, asterisks: list[Asterisk]):
    with pytest.raises(ValueError, match="line break"):
        connect(path=path).play(WELCOME)
    assert asterisks[0].commands == []


def test_quotes_in_a_value_stay_within_it(connect, asterisks: list[Asterisk]):
    connect(b"200 result=0\n", path='/sounds/"x" \\y').play(WELCOME, "1")
    assert asterisks[0].commands == [b'STREAM FILE "/sounds/\\"x\\" \\\\y" "1"\n']


def test_the_dialplan_is_told_the_language(connect, asterisks: list[Asterisk]):
    connect(b"200 result=1\n").set_language("es")
    assert asterisks[0].commands == [b"SET VARIABLE MOVANS_LANGUAGE es\n"]


def test_dialling_survives_a_hangup_of_the_leg(connect):
    alone = (b"200 result=1\n", b"200 result=1 (1)\n")
    said = b"200 result=1 (ANSWER|16|SIP 200 OK (so it said))\n"
    channel = connect(*alone, b"200 result=-1\nHANGUP\n", b"200 result=1\n", said)
    assert channel.dial("PJSIP/testphone", 30, telephone="ab12")
    assert channel.became() == ("ANSWER", "16", "SIP 200 OK (so it said)")


def test_a_telephone_rings_when_its_time_has_come(connect):
    channel = connect(b"200 result=1\n", b"200 result=1 (1)\n", b"200 result=0\n", b"200 result=1\n")
    at = time.monotonic() + 0.1
    assert channel.dial("PJSIP/testphone", 30, telephone="ab12", at=at)
    assert time.monotonic() >= at


def test_a_telephone_that_is_still_in_a_call_is_not_dialled(connect, asterisks: list[Asterisk]):
    assert not connect(b"200 result=1\n", b"200 result=1 (2)\n").dial("PJSIP/testphone", 30, telephone="ab12")
    assert [command.split()[0] for command in asterisks[0].commands] == [b"SET", b"GET"]


def test_nothing_at_all_from_the_other_side_is_no_call():
    with pytest.raises(Gone):
        AsteriskChannel(io.BytesIO(b""), io.BytesIO(), Found())
