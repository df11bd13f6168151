"""Calls out through a trunk: the number that is dialled, what the network says, and how many calls at once."""

import os
from collections.abc import Iterator

import pytest

from movans import asterisk, trunks
from tests.chaos.telephones import Telephones
from tests.live import registered
from tests.live.line import Line
from tests.live.registered import outcomes, release
from tests.live.sip import Callee
from tests.live.softphone import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")

LINES = 2  # calls at once by each trunk
# Seconds in which a call comes again: the settings of the tests say three, and the second trunk, where it was tried
# before and nobody listens, takes five.
AGAIN = 12


class Trunk(Line):
    """The service with a trunk at which nobody listens until a test says so."""

    def __init__(self) -> None:
        self.port = free_port()
        self.spare_port = free_port()
        super().__init__(trunks={"main": self._at(self.port), "spare": self._at(self.spare_port)})

    @staticmethod
    def _at(port: int) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": port, "lines": LINES, "rate": 5}

    def to(self, behaviour: str, seconds: float = 2) -> Callee:
        """The telephone network, in which every telephone behaves so."""
        return Callee(behaviour, port=self.port, seconds=seconds)

    def down(self) -> set[str]:
        """The trunks that do not answer, as the dialer knows it."""
        return set(trunks.down(self.settings.state / "run" / "trunks"))

    def spare(self, behaviour: str) -> Callee:
        """The other one, behind the second trunk."""
        return Callee(behaviour, port=self.spare_port)


@pytest.fixture(scope="module")
def trunk() -> Iterator[Trunk]:
    with Trunk() as running:
        yield running


def rings(trunk: Trunk, network: Callee, number: str, times: int = 1, within: float = 10) -> None:
    """Somebody of an earlier test may be rung, too: SIP asks again for half a minute where nobody answered."""
    trunk.eventually(lambda: [call.number for call in network.rang].count(number) >= times, within)


@pytest.fixture(autouse=True)
def _nothing_is_left(trunk: Trunk) -> Iterator[None]:
    yield
    registered.close_all(trunk)


def test_a_trunk_that_answers_no_options_is_dialled_all_the_same(trunk: Trunk):
    registered.register(trunk, "700100", number="5735550151")
    assert "NonQual" in asterisk.cli(trunk.settings, "pjsip show contacts")  # one that was asked would be Unavail
    with trunk.to("busy") as network:
        release(trunk, "700100")
        assert network.wait_rang().number == "5735550151"


@pytest.mark.parametrize(
    ("offender", "behaviour", "cause", "refused_as"),
    [
        ("700401", "not found", "SIP 404 Not Found", "no such number"),
        ("700402", "gone", "SIP 410 Gone", "no such number"),
        ("700403", "declined", "SIP 603 Decline", None),
        ("700404", "blocked", "SIP 603 Network Blocked", "blocked as spam"),
        ("700405", "unwanted", "SIP 607 Unwanted", "blocked as spam"),
        ("700406", "rejected", "SIP 608 Rejected", "blocked as spam"),
        ("700407", "busy", "SIP 486 Busy Here", None),
    ],
)
def test_what_a_refusal_says_beyond_its_call_is_recorded_and_shown(
    trunk: Trunk, offender: str, behaviour: str, cause: str, refused_as: str | None
):
    registered.register(trunk, offender, number="5735550154")
    with trunk.to(behaviour) as network:
        release(trunk, offender)
        rings(trunk, network, "5735550154")
        trunk.eventually(lambda: outcomes(trunk, offender)[0][0], 10)
    first = trunk.query(
        """select cause, sip_code, refused_as from call_attempt a join attempt_carries on attempt_id = a.id
           join notification n on n.id = notification_id join custody_event e on e.id = event_id
           join offender o on o.id = offender_id where o.number = %s order by a.id limit 1""",
        offender,
    )
    assert first == [(cause, int(cause.split()[1]), refused_as)]
    assert any((refused_as or "SIP") in line and cause in line for line in trunk.movans("status").stdout.splitlines())


def test_a_number_that_does_not_exist_is_handed_to_a_person_after_three_calls(trunk: Trunk):
    registered.register(trunk, "700501", number="5735550155")
    with trunk.to("gone") as network:
        release(trunk, "700501")
        rings(trunk, network, "5735550155", 3, 4 * AGAIN)
        handed = "select from notification where handed_over_at is not null and state = 'open'"
        trunk.eventually(lambda: trunk.query(handed), 5)
        network.stays_quiet(AGAIN)
    assert trunk.query("select from alert where key like 'no such number: registrant %%' and over_at is null")


@pytest.mark.parametrize(
    ("offender", "behaviour", "outcome", "cause"),
    [
        ("700201", "busy", "busy", "SIP 486 Busy Here"),
        ("700202", "not found", "failed", "SIP 404 Not Found"),
        ("700203", "declined", "failed", "SIP 603 Decline"),
        ("700204", "no room", "congestion", "SIP 503 Service Unavailable"),
        ("700205", "no answer", "no answer", None),
        ("700206", "answers and hangs up", "not confirmed", "SIP 200 OK"),
    ],
)
def test_what_the_network_says_is_recorded_and_the_call_comes_again(
    trunk: Trunk, offender: str, behaviour: str, outcome: str, cause: str | None
):
    registered.register(trunk, offender, number="5735550152")
    with trunk.to(behaviour) as network:
        release(trunk, offender)
        rings(trunk, network, "5735550152")
        trunk.eventually(lambda: outcomes(trunk, offender)[0][0], 10)
        assert outcomes(trunk, offender)[0][0] == outcome
        assert cause is None or outcomes(trunk, offender)[0][1] == cause
        rings(trunk, network, "5735550152", 2, AGAIN)


def test_there_are_never_more_calls_at_once_than_lines(trunk: Trunk):
    people = {f"7003{place}": f"573555016{place}" for place in range(5)}
    for offender, number in people.items():
        registered.register(trunk, offender, number=number)
    seconds = 3
    with trunk.to("answers and hangs up", seconds) as network:
        release(trunk, *people)
        trunk.eventually(lambda: {call.number for call in network.rang} >= set(people.values()), 30)
        rang = [call for call in network.rang if call.number in people.values()]
    for call in rang:
        assert sum(call.at <= other.at < call.at + seconds for other in rang) <= LINES


def test_zero_on_the_hotline_rings_a_person_and_who_is_not_answered_comes_back(trunk: Trunk):
    with trunk.phone() as phone:
        with trunk.to("busy") as network, phone.calls("668267") as call:
            call.hears("welcome").presses("0").hears("operator_rings")
            rings(trunk, network, "5735550100")
            call.hears("operator_away", "menu", within=15).hangs_up()
        with trunk.to("answers and hangs up") as network, phone.calls("668267") as call:
            call.hears("welcome").presses("0").hears("operator_rings")
            rings(trunk, network, "5735550100")
            call.is_hung_up(within=20)


def test_zero_in_a_call_out_connects_with_a_person_and_the_call_does_not_count_as_lost_while_they_talk(trunk: Trunk):
    registered.register(trunk, "700701", number="5735550170")
    with Telephones(trunk.port, pin="0") as network:
        release(trunk, "700701")
        trunk.eventually(lambda: network.talks("5735550170") and network.talks("5735550100"), 30)
        lives = "select state, deadline > now() + interval '50 minutes' from call_attempt order by id desc limit 1"
        assert trunk.query(lives) == [("answered", True)]
        asterisk.cli(trunk.settings, "channel request hangup all")
        trunk.eventually(lambda: outcomes(trunk, "700701")[0][0], 10)
    assert outcomes(trunk, "700701")[0][0] == "not confirmed"


# Every call about an offender, oldest first.
ABOUT = """from call_attempt a join attempt_carries on attempt_id = a.id
           join notification n on n.id = notification_id join registration r on r.id = registration_id
           join offender o on o.id = offender_id where o.number = %s order by a.id"""


def by(trunk: Trunk, offender: str) -> list[tuple[object, ...]]:
    """By which trunk each call about an offender went, and what became of it."""
    return trunk.query(f"select trunk, outcome {ABOUT}", offender)


def test_a_call_that_the_first_trunk_refuses_rings_by_the_second_at_once(trunk: Trunk):
    registered.register(trunk, "700801", number="5735550171")
    with trunk.to("no room") as network, trunk.spare("busy") as spare:
        trunk.eventually(lambda: trunk.down() == set(), 15)
        release(trunk, "700801")
        rings(trunk, network, "5735550171")
        rings(trunk, spare, "5735550171")
        trunk.eventually(lambda: len(by(trunk, "700801")) > 1 and by(trunk, "700801")[1][1], 10)
        assert by(trunk, "700801")[:2] == [("main", "congestion"), ("spare", "busy")]
        at_once = f"select a.claimed_at - lag(a.ended_at) over (order by a.id) < '3 s' {ABOUT} limit 2"
        assert trunk.query(at_once, "700801")[1] == (True,)  # any other call waits for three seconds
        rings(trunk, network, "5735550171", 2, AGAIN)  # then it begins with the first again


def test_while_the_first_trunk_does_not_answer_calls_go_by_the_second_and_a_person_is_told(trunk: Trunk):
    registered.register(trunk, "700802", number="5735550172")
    told = "select over_at is null from alert where key like 'trunk main%%' order by id desc limit 1"
    with trunk.spare("busy") as spare:
        trunk.eventually(lambda: trunk.down() == {"main"}, 20)
        release(trunk, "700802")
        rings(trunk, spare, "5735550172")
        assert by(trunk, "700802")[0][0] == "spare"
        assert trunk.query(told) == [(True,)]
        with trunk.to("busy") as network:
            trunk.eventually(lambda: trunk.query(told) == [(False,)], 15)
            rings(trunk, network, "5735550172", within=AGAIN)
