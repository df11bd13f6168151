"""A day of made-up traffic that looks real: what the jails and courts of Missouri's 115 jurisdictions send.

Every name, number and event is drawn from a seed, so that a day can be sent twice: in order, and as feeds suffer it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

COUNTIES = """
Adair, Andrew, Atchison, Audrain, Barry, Barton, Bates, Benton, Bollinger, Boone, Buchanan, Butler, Caldwell, Callaway,
Camden, Cape Girardeau, Carroll, Carter, Cass, Cedar, Chariton, Christian, Clark, Clay, Clinton, Cole, Cooper, Crawford,
Dade, Dallas, Daviess, DeKalb, Dent, Douglas, Dunklin, Franklin, Gasconade, Gentry, Greene, Grundy, Harrison, Henry,
Hickory, Holt, Howard, Howell, Iron, Jackson, Jasper, Jefferson, Johnson, Knox, Laclede, Lafayette, Lawrence, Lewis,
Lincoln, Linn, Livingston, Macon, Madison, Maries, Marion, McDonald, Mercer, Miller, Mississippi, Moniteau, Monroe,
Montgomery, Morgan, New Madrid, Newton, Nodaway, Oregon, Osage, Ozark, Pemiscot, Perry, Pettis, Phelps, Pike, Platte,
Polk, Pulaski, Putnam, Ralls, Randolph, Ray, Reynolds, Ripley, Saline, Schuyler, Scotland, Scott, Shannon, Shelby,
St. Charles, St. Clair, St. Francois, St. Louis, Ste. Genevieve, Stoddard, Stone, Sullivan, Taney, Texas, Vernon,
Warren, Washington, Wayne, Webster, Worth, Wright
"""
JURISDICTIONS = [
    *(f"{' '.join(name.split())} County" for name in COUNTIES.split(",")),
    "St. Louis City",
]

ZONE = ZoneInfo("America/Chicago")
MORNING = datetime(2026, 11, 19, 6, tzinfo=ZONE)
SENT_AT = [MORNING + timedelta(hours=hours) for hours in (4, 8, 12, 16)]  # when a file comes
HEADER = "offender_number,last_name,first_name,date_of_birth,facility,changed_at,event_id,status\n"
CALENDAR = (
    "Case\tcase_number\toffender_number\tlast_name\tfirst_name\tdate_of_birth\n"
    "CourtEvent\tcase_number\tevent_id\tstarts_at\tchanged_at\tplace\tstatus\n"
    "CalendarDelete\tcase_number\tchanged_at\tevent_id\n"
)
LAST, FIRST = (
    names.split()
    for names in (
        "SMITH JOHNSON WILLIAMS BROWN JONES GARCIA MILLER DAVIS MUÑOZ O'BRIEN VAN-DYKE LEE NGUYEN JACKSON",
        "JAMES MARY ROBERT LINDA JOHN MARÍA DAVID SUSAN WILLIAM KAREN JOSÉ LISA THOMAS ANNA",
    )
)

IN, OUT, GONE, LEAVE, DEAD = "in custody", "released", "escaped", "on furlough", "deceased"
STORIES: list[tuple[str, ...]] = [  # what becomes of somebody in a day; "moved" is to the other building, or back
    *[()] * 5,
    *[(OUT,)] * 3,
    (OUT, IN),
    ("moved",),
    ("moved", "moved"),
    ("moved", OUT),
    (GONE,),
    (GONE, IN),
    (LEAVE, IN),
    (LEAVE, GONE, IN),
    (LEAVE, OUT),
    (DEAD,),
]
# Without an agency's own ids, the same twice with nothing in between is one event and its correction, in whatever order
# it comes; so where files are late, only such ids can tell that somebody was let go twice.
WITH_IDS = [*STORIES, (OUT, IN, OUT)]

DATES = [("set",), ("set", "moved"), ("set", "off"), ("set", "moved", "out")]  # what becomes of a court date

Kind = Literal["custody changes", "custody snapshot", "niem", "court calendar"]


@dataclass(frozen=True)
class Row:
    """What a jail says of somebody at one time."""

    number: str
    last: str
    first: str
    born: str
    facility: str
    at: datetime
    status: str
    event_id: str = ""

    def text(self) -> str:
        at = self.at.strftime("%Y-%m-%d %H:%M")
        return (
            f"{self.number},{self.last},{self.first},{self.born},{self.facility},{at},{self.event_id},{self.status}\n"
        )


@dataclass(frozen=True)
class Sent:
    """A file, and when it comes. ``rows`` are its rows or messages, which may be put in any order."""

    kind: Kind
    at: datetime
    head: str
    rows: tuple[str, ...]
    tail: str = ""

    @property
    def text(self) -> str:
        return self.head + "".join(self.rows) + self.tail


@dataclass
class Day:
    """What one jurisdiction sends: who is there in the morning, then file after file.

    ``registered``: the numbers of those for whom somebody is registered. ``stays``: when snapshots come in which nobody
    is missing who was in the one before.
    """

    jurisdiction: str
    kind: Kind
    roster: Sent
    files: list[Sent]
    registered: list[str]
    stays: set[datetime] = field(default_factory=set)


def key(jurisdiction: str) -> str:
    """By what the settings could call its agency."""
    return "".join(sign for sign in jurisdiction.lower().replace(" ", "_") if sign.isalnum() or sign == "_")


def day(jurisdiction: str) -> Day:
    """The day of a jurisdiction, always the same."""
    random = Random(jurisdiction)  # noqa: S311
    place = JURISDICTIONS.index(jurisdiction)
    kinds: list[Kind] = ["custody changes", "custody changes", "custody snapshot", "niem"]
    kind = kinds[place % 4]
    has_ids = kind == "custody changes" and place % 8 < 4
    stories = WITH_IDS if has_ids else STORIES
    people = [_person(random, jurisdiction, n, stories, new=n > 5) for n in range(1, 8)]
    if has_ids:
        people = [[replace(row, event_id=f"E{row.number}{n}") for n, row in enumerate(rows)] for rows in people]
    rows = sorted((row for rows in people for row in rows), key=lambda row: row.at)
    roster = [row for row in rows if row.at < MORNING]
    found = Day(
        jurisdiction,
        kind,
        _file(kind, MORNING, roster),
        [],
        [row.number for row in roster if int(row.number) % 3],
    )
    if kind == "custody snapshot":
        _add_snapshots(found, people, random)
    else:
        since = MORNING
        for at in SENT_AT:
            if now := [row for row in rows if since <= row.at < at]:
                found.files.append(_file(kind, at, now))
            since = at
    if place % 3 == 0:
        found.files += _calendars(random, roster)
        found.files.sort(key=lambda file: file.at)
    return found


def _person(
    random: Random, jurisdiction: str, n: int, stories: list[tuple[str, ...]], *, new: bool = False
) -> list[Row]:
    """Somebody's rows: booked long ago, or in the course of the day; then what becomes of them."""
    home, other = f"{jurisdiction} Jail", f"{jurisdiction} Annex"
    minutes = sorted(random.sample(range(1, 16 * 60), 4))
    booked = MORNING + timedelta(minutes=minutes.pop(0)) if new else MORNING - timedelta(days=random.randint(1, 300))
    born = f"{random.randint(1950, 2007)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    last = random.choice(LAST)
    now = Row(str(100_200 + n), last, random.choice(FIRST), born, home, booked, IN)
    rows = [now]
    for step, minute in zip(random.choice(stories), minutes, strict=False):
        at = MORNING + timedelta(minutes=minute)
        if step == "moved":
            now = replace(now, at=at, status=IN, facility=other if now.facility == home else home)
        else:
            now = replace(now, at=at, status=step)
        rows.append(now)
    return rows


def _file(kind: Kind, at: datetime, rows: list[Row]) -> Sent:
    if kind == "niem":
        return Sent(kind, at, "<batch>\n", tuple(map(_message, rows)), "</batch>\n")
    return Sent(kind, at, HEADER, tuple(row.text() for row in rows))


def _add_snapshots(found: Day, people: list[list[Row]], random: Random) -> None:
    """Who is there at each time; of those who are out, some stand in it as such, and others are missing.

    None are so for the first time in one of the last two: who is missing is so in two running. No two are the same
    bytes.
    """
    missing_when_out = {rows[0].number for rows in people if random.random() < 0.5}
    before = {rows[0].number for rows in people if rows[0].at < MORNING}
    for slot, at in enumerate(SENT_AT):
        listed: list[Row] = []
        for rows in people:
            may_be_missing = rows[0].number in missing_when_out
            latest = [row for row in rows if row.at < (min(at, SENT_AT[-3]) if may_be_missing else at)][-1:]
            listed += [row for row in latest if row.status == IN or not may_be_missing]
        numbers = {row.number for row in listed}
        if before <= numbers:
            found.stays.add(at)
        before = numbers
        found.files.append(replace(_file("custody snapshot", at, listed), tail="\n" * (slot + 1)))


def _message(row: Row) -> str:
    """A row as NIEM has it: a booking, a release, or another change of status."""
    at = f"<DateTime>{row.at.isoformat()}</DateTime>"
    kind = {IN: "BookingReport", OUT: "CustodyReleaseReport"}.get(row.status, "CustodyStatusChangeReport")
    happened = f"<ActivityDate>{at}</ActivityDate>"
    status = f"<StatusDescriptionText>{row.status}</StatusDescriptionText>"
    change = f"<Detention><SupervisionCustodyStatus>{status}</SupervisionCustodyStatus></Detention>"
    return (
        f"<{kind}><DocumentCreationDate>{at}</DocumentCreationDate><Booking>{happened if row.status == IN else ''}"
        f"<BookingDetentionFacility><FacilityIdentification><IdentificationID>{escape(row.facility)}</IdentificationID>"
        "</FacilityIdentification></BookingDetentionFacility><BookingSubject><SubjectIdentification>"
        f"<IdentificationID>{row.number}</IdentificationID></SubjectIdentification></BookingSubject></Booking>"
        f"{f'<Release>{happened}</Release>' if row.status == OUT else ''}"
        f"{change if row.status not in (IN, OUT) else ''}"
        f"<Person><PersonBirthDate><Date>{row.born}</Date></PersonBirthDate><PersonName><PersonGivenName>{row.first}"
        f"</PersonGivenName><PersonSurName>{escape(row.last)}</PersonSurName></PersonName></Person></{kind}>\n"
    )


def _calendars(random: Random, roster: list[Row]) -> Iterator[Sent]:
    """What a court says since the time before: dates that are set, moved, off or taken out."""
    said: list[tuple[datetime, str]] = []
    for row in roster[:3]:
        case, event = f"26CR{row.number}", f"E-{row.number}"
        party = f"Case\t{case}\t{row.number}\t{row.last}\t{row.first}\t{row.born}\n"
        minutes = sorted(random.sample(range(1, 12 * 60), 3))
        day_of = random.randint(5, 60)
        for minute, step in zip(minutes, random.choice(DATES), strict=False):
            at = MORNING + timedelta(minutes=minute)
            changed = at.strftime("%Y-%m-%d %H:%M")
            day_of += step == "moved"
            starts = (MORNING + timedelta(days=day_of)).strftime("%Y-%m-%d 09:30")
            status = "cancelled" if step == "off" else "scheduled"
            text = f"CourtEvent\t{case}\t{event}\t{starts}\t{changed}\tDivision {random.randint(1, 4)}\t{status}\n"
            said.append((at, f"CalendarDelete\t{case}\t{changed}\t{event}\n" if step == "out" else party + text))
    since = MORNING
    for at in SENT_AT:
        if now := [text for when, text in sorted(said) if since <= when < at]:
            yield Sent("court calendar", at, CALENDAR, tuple(now))
        since = at


def suffered(day: Day, random: Random) -> list[Sent]:
    """The files as they really come, in the order in which they do.

    A file of changes, of messages, or a calendar can come late, twice, cut in two, cut off before it comes whole, with
    rows of the file before it, with rows twice or in any order. A snapshot says what holds when it comes: no feed can
    bring an older one after a newer and be understood. So it can only come twice, with rows in any order, and be cut
    off where nobody is newly missing: cut off it is a snapshot, too, and who is missing in both is missing in two.
    """
    arrived: list[Sent] = []
    before: dict[Kind, Sent] = {}
    for file in day.files:
        one = replace(file, rows=tuple(_disturbed(file.rows, random)))
        if file.kind == "custody snapshot":
            if file.at in day.stays and random.random() < 0.5:
                arrived.append(_cut_off(replace(one, at=one.at - timedelta(minutes=5)), random))
            arrived.append(one)
            if random.random() < 0.3:
                arrived.append(replace(one, at=one.at + timedelta(minutes=5)))
            continue
        if file.kind in before and random.random() < 0.4:
            one = replace(one, rows=(*before[file.kind].rows, *one.rows))  # overlaps
        before[file.kind] = file
        arrived += _as_it_comes(one, random)
    return sorted(arrived, key=lambda file: file.at)


def _as_it_comes(file: Sent, random: Random) -> Iterator[Sent]:
    def later(one: Sent) -> Sent:
        return replace(one, at=one.at + timedelta(minutes=random.choice([0, 0, 7, 5 * 60, 9 * 60])))

    if random.random() < 0.3:
        yield _cut_off(file, random)
    if len(file.rows) > 1 and random.random() < 0.3:
        at = random.randint(1, len(file.rows) - 1)
        yield later(replace(file, rows=file.rows[:at]))
        yield later(replace(file, rows=file.rows[at:]))
    else:
        yield later(file)
    if random.random() < 0.3:
        yield later(file)


def _disturbed(rows: tuple[str, ...], random: Random) -> list[str]:
    found = [*rows, *(row for row in rows if random.random() < 0.2)]
    if random.random() < 0.5:
        random.shuffle(found)
    return found


def _cut_off(file: Sent, random: Random) -> Sent:
    """The beginning of a file. It ends not within the last cell of a row: nobody could see that one is not whole."""
    body = "".join(file.rows)
    end = random.randint(1, len(body))
    last = body.rfind("\n", 0, end) + 1
    if last != end and file.kind != "niem":
        end = max(last, max(body.rfind(sign, last, end) for sign in ",\t"))
    return replace(file, rows=(body[:end],), tail="")
