"""How long registering takes, from the answer to "you are registered": for who knows the way, and for who listens."""

import yaml
from rich.table import Table

from movans.settings import EXAMPLE
from tests.bench import report
from tests.bench.load import BenchLine
from tests.bench.wire import Reactions
from tests.live.conversation import Conversation
from tests.live.registered import JAIL, close_all

AIMS = {"knows the way": 45, "listens to everything": 150}  # seconds
AIMS_MS = (150, 500)  # median, p99
OFFENDER = "900100"
# Question, answer, and what comes before the question that is heard to its end by who listens.
STEPS = (
    ("menu", "2"),
    ("ask_offender", f"{OFFENDER}#"),
    ("status_menu", "1"),
    ("ask_phone", "5735550142#"),
    ("is_it_right", "1"),
    ("ask_direct", "1"),
    ("ask_pin", "2580"),
    ("ask_pin_again", "2580"),
    ("ask_pin_first", "1"),
)
INTERRUPTED = {"menu": "welcome", "status_menu": "status", "is_it_right": "you_entered"}  # the first that can be


def run(languages: list[str]) -> None:
    report.machine()
    table = report.table("From the answer to “you are registered”", "language", *AIMS, "aim", "reached")
    usual = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    usual = {part: usual[part] for part in ("calls", "policy")}
    with BenchLine(languages, **usual) as line, _reactions(line) as reactions, report.progress() as shown:
        task = shown.add_task("calling", total=2 * len(languages))
        for language in languages:
            seconds = []
            for listens in (False, True):
                seconds.append(_call(line, language, listens=listens))
                shown.advance(task)
            met = all(taken < aim for taken, aim in zip(seconds, AIMS.values(), strict=True))
            aims = " / ".join(f"{aim} s" for aim in AIMS.values())
            table.add_row(language, *(f"{taken:.1f} s" for taken in seconds), aims, report.reached(met))
    report.out.print(table)
    report.out.print(_waits(reactions.waits))
    report.explain(
        """One call each, with a softphone that recognises what it hears. Who knows the way presses the keys of an
        answer as soon as the question, or what leads to it, has begun; who listens hears everything to its end and
        thinks no time at all. Both press keys as fast as a quick person, four a second.

        The last key of an answer ends with its last packet; the sound that answers it begins with the first packet that
        is louder than -38 dB after a silence. Each prompt begins with 100 ms of silence, which is part of the time."""
    )


def _reactions(line: BenchLine) -> Reactions:
    first, last = line.settings.sip.rtp_ports
    return Reactions(range(first, last + 1))


def _waits(waits: list[float]) -> Table:
    table = report.table("From the last key to the first sound of the answer, ms", "answers", "median", "p99", "worst")
    table.add_row(str(len(waits)), *report.spread(waits, 50, 99))
    table.add_row("aim", *(str(aim) for aim in AIMS_MS), "")
    return table


def _call(line: BenchLine, language: str, *, listens: bool) -> float:
    """Seconds from the answer until the sentence begins."""
    who = "John Smith"
    line.expects("status_in_custody", language, name=who, since=_SINCE[language], facility=JAIL)
    line.expects("registered", language, name=who)
    line.imports(f"boone,{OFFENDER},SMITH,JOHN,1990-07-31,{JAIL},in custody,2026-09-02 16:20")
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


_SINCE = {
    "en": "Wednesday, September second, at four twenty in the afternoon",
    "es": "el miércoles dos de septiembre, a las cuatro y veinte de la tarde",
}
