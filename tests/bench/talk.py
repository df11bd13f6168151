"""How long registering takes, from the answer to "you are registered": for who knows the way, and for who listens.

And how long a caller waits from the last key of an offender's number until something is heard, and until that is of the
offender, whose name no voice has spoken yet.
"""

from collections.abc import Iterator, Sequence

import psycopg
import yaml
from rich.progress import Progress
from rich.table import Table

from db import lookup
from movans.settings import EXAMPLE
from prompts.sounds import MADE
from tests.bench import report
from tests.bench.load import BenchLine, Stuck
from tests.bench.lookup import load, sample
from tests.bench.wire import Reactions
from tests.live.conversation import Conversation
from tests.live.listening import Passage
from tests.live.registered import ARRESTED, JAIL, close_all

AIMS = {"knows the way": 45, "listens to everything": 150}  # seconds
AIMS_MS = (150, 500)  # median, p99
AIM_NEW = 1500  # milliseconds, where a name was never spoken before
LOOK_UPS, IN_A_CALL = 40, 10
OFFENDER = "900100"
# Question, answer, and what comes before the question that is heard to its end by who listens.
STEPS = (
    ("menu", "2"),
    ("ask_offender", f"{OFFENDER}#"),
    ("status_menu", "1"),
    ("ask_about", "3"),
    ("ask_phone", "5735550142#"),
    ("is_it_right", "1"),
    ("ask_direct", "1"),
    ("ask_pin", "2580"),
    ("ask_pin_again", "2580"),
    ("ask_pin_first", "1"),
)
INTERRUPTED = {"menu": "welcome", "status_menu": "status", "is_it_right": "you_entered"}  # the first that can be


def run(languages: list[str], offenders: int) -> None:
    report.machine()
    table = report.table("From the answer to “you are registered”", "language", *AIMS, "aim", "reached")
    usual = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    usual = {part: usual[part] for part in ("calls", "policy")}
    with BenchLine(languages, **usual) as line, _reactions(line) as reactions, report.progress() as shown:
        load(line.house.dsn, offenders, shown)
        task = shown.add_task("calling", total=2 * len(languages))
        for language in languages:
            seconds = []
            for listens in (False, True):
                seconds.append(_call(line, language, listens=listens))
                shown.advance(task)
            met = all(taken < aim for taken, aim in zip(seconds, AIMS.values(), strict=True))
            aims = " / ".join(f"{aim} s" for aim in AIMS.values())
            table.add_row(language, *(f"{taken:.1f} s" for taken in seconds), aims, report.reached(met))
        waits = list(reactions.waits)
        looked_up = _look_up(line, reactions, languages, _unspoken(line, offenders), shown)
    report.out.print(table)
    report.out.print(_waits(waits))
    report.out.print(looked_up)
    report.explain(
        """One call each, with a softphone that recognises what it hears. Who knows the way presses the keys of an
        answer as soon as the question, or what leads to it, has begun; who listens hears everything to its end and
        thinks no time at all. Both press keys as fast as a quick person, four a second.

        The last key of an answer ends with its last packet; the sound that answers it begins with the first packet that
        is louder than -38 dB after a silence. Each prompt begins with 100 ms of silence, which is part of the time.

        Of who is looked up by number nothing was ever said, so the voice makes the sentence while the caller waits.
        Where that takes more than 0.4 s, "one moment" is heard first (bridged); then the sentence's time is known to a
        twentieth of a second. The aim: every sentence within 1.5 s."""
    )


def _reactions(line: BenchLine) -> Reactions:
    first, last = line.settings.sip.rtp_ports
    return Reactions(range(first, last + 1))


def _waits(waits: list[float]) -> Table:
    table = report.table("From the last key to the first sound of the answer, ms", "answers", "median", "p99", "worst")
    table.add_row(str(len(waits)), *report.spread(waits, 50, 99))
    table.add_row("aim", *(str(aim) for aim in AIMS_MS), "")
    return table


def _unspoken(line: BenchLine, offenders: int) -> Iterator[str]:
    """Numbers, as keyed, of some by chance, each of one person only."""
    with psycopg.connect(line.house.dsn) as conn:
        for number in dict.fromkeys(person.number for person in sample(conn, offenders, 1000)):
            if len(lookup.by_number(conn, number, most=2).people) == 1:
                yield number


def _look_up(
    line: BenchLine, reactions: Reactions, languages: Sequence[str], numbers: Iterator[str], shown: Progress
) -> Table:
    columns = ("", "look-ups", "any: median", "p99", "worst", "new: median", "p99", "worst", "bridged", "aim")
    table = report.table("From the last key to any sound, and to the sentence that is new, ms", *columns)
    task = shown.add_task("looking up", total=LOOK_UPS * len(languages))
    for language in languages:
        first, told, bridged = [], [], 0
        for _ in range(LOOK_UPS // IN_A_CALL):
            with line.phone() as phone, phone.calls("668267") as call:
                if len(line.languages) > 1:
                    call.hears(f"{line.languages[0]}/choose_language")
                    call.presses(str(line.languages.index(language) + 1))
                call.hears(f"{language}/welcome")
                for _ in range(IN_A_CALL):
                    call.presses("2").hears(f"{language}/ask_offender")
                    sound, sentence = _hear(call, reactions, next(numbers))
                    first.append(sound)
                    told.append(sentence)
                    bridged += sentence > sound
                    call.presses("3").hears(f"{language}/menu")
                    shown.advance(task)
        worst = max(told)
        table.add_row(
            language, str(len(told)), *report.spread(first, 50, 99), *report.spread(told, 50, 99), str(bridged),
            report.reached(worst < AIM_NEW),
        )  # fmt: skip
    shown.remove_task(task)
    return table


def _hear(call: Conversation, reactions: Reactions, number: str) -> tuple[float, float]:
    """Milliseconds from the last key of a number to the first sound, and to the first of what is told."""
    answers, before = len(reactions.waits), len(call.heard.passages)
    call.presses(f"{number}#")
    while not (told := [one for one in call.heard.passages[before:] if _is_new(one)]):
        if not call.heard.wait_more(len(call.heard.passages), 15):
            raise Stuck(f"nothing was told of an offender; the caller heard:\n{call.transcript()}")
    first = reactions.waits[answers]
    return first, first + 1000 * (told[0].at - call.heard.passages[before].at)


def _is_new(passage: Passage) -> bool:
    return any(name.startswith(f"{MADE}/") for fit in passage.fits for name in fit.sound.names)


def _call(line: BenchLine, language: str, *, listens: bool) -> float:
    """Seconds from the answer until the sentence begins."""
    who = "John Smith"
    line.expects("status_in_custody", language, name=who, since=line.said_when(ARRESTED, language), facility=JAIL)
    line.expects("registered", language, name=who)
    line.imports(f"boone,{OFFENDER},SMITH,JOHN,1990-07-31,{JAIL},in custody,{ARRESTED}")
    with line.phone() as phone:
        with phone.calls("668267") as call:
            if len(line.languages) > 1:
                offer = line.languages[-1 if listens else 0]
                call.hears(f"{offer}/choose_language", whole=listens)
                call.presses(str(line.languages.index(language) + 1))
            for question, answer in STEPS:
                _answer(call, language, question, answer, listens=listens)
            call.hears(who, within=30)
            at = call.heard.passages[call._next - 1].at
        close_all(line)
    return at


def _answer(call: Conversation, language: str, question: str, answer: str, *, listens: bool) -> None:
    awaited = question if listens else INTERRUPTED.get(question, question)
    what = "Smith" if awaited == "status" else f"{language}/{awaited}"
    call.hears(what, within=90, whole=listens).presses(answer)
