"""Made-up offenders by the million: US and Spanish names about as frequent as they are, aliases, double entries.

The most frequent names stand in tables with their weights, after the US Census (surnames of 2010) and the Social
Security Administration (first names). The many rare ones, which most people have, are put together of pieces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate, product
from random import Random

SEED = 2026
AGENCIES = [f"county{number}" for number in range(1, 121)]
BORN = date(1946, 1, 1), date(2008, 1, 1)
# Names and how many of 100,000 people have each; a dot stands for a blank.
_ENGLISH = """
    SMITH 828 JOHNSON 655 WILLIAMS 551 BROWN 487 JONES 483 MILLER 394 DAVIS 378 WILSON 272 ANDERSON 266 THOMAS 256
    TAYLOR 255 MOORE 245 JACKSON 240 MARTIN 238 LEE 235 THOMPSON 225 WHITE 224 HARRIS 211 CLARK 191 LEWIS 180
    ROBINSON 179 WALKER 177 YOUNG 164 ALLEN 164 KING 158 WRIGHT 156 SCOTT 149 NGUYEN 149 HILL 147 GREEN 146 ADAMS 145
    NELSON 144 BAKER 142 HALL 138 CAMPBELL 131 MITCHELL 130 ROBERTS 128 CARTER 127 PHILLIPS 122 EVANS 122 TURNER 118
    PARKER 116 COLLINS 113 EDWARDS 112 STEWART 112 MORRIS 109 MURPHY 105 COOK 100 ROGERS 100 MORGAN 97 COOPER 95
    PETERSON 94 REED 93 BAILEY 92 BELL 91 KELLY 90 HOWARD 90 WARD 88 COX 88 RICHARDSON 87 WATSON 86 BROOKS 86 WOOD 86
    JAMES 84 GRAY 84 HUGHES 83 PRICE 82 MYERS 81 LONG 80 FOSTER 79 ROSS 79 POWELL 78 JENKINS 77 PERRY 76 RUSSELL 76
    SULLIVAN 75 BUTLER 75 HENDERSON 75 BARNES 74 FISHER 73 HAMILTON 68 GRAHAM 68 WALLACE 66 HARRISON 64 MCDONALD 60
    O'BRIEN 40 O'CONNOR 30 LI 28 WU 26 ST.JOHN 6 NG 12 ROH 1 QUINN 24 ZIMMERMAN 30"""
_SPANISH = """
    GARCIA 395 RODRIGUEZ 371 MARTINEZ 360 HERNANDEZ 354 LOPEZ 297 GONZALEZ 285 PEREZ 231 SANCHEZ 208 RAMIREZ 189
    TORRES 149 FLORES 146 RIVERA 133 GOMEZ 126 DIAZ 121 REYES 106 CRUZ 103 MORALES 101 GUTIERREZ 94 ORTIZ 93 RAMOS 88
    CHAVEZ 79 RUIZ 78 MENDOZA 77 ALVAREZ 76 CASTILLO 75 JIMENEZ 72 VASQUEZ 71 MORENO 68 HERRERA 67 MEDINA 66 AGUILAR 60
    VARGAS 58 GUZMAN 57 MENDEZ 55 MUÑOZ 54 SALAZAR 53 GARZA 50 SOTO 49 PEÑA 45 DE.LA.CRUZ 40 DELGADO 39"""
_FIRST = """
    MICHAEL 43 JAMES 40 JOHN 36 ROBERT 36 DAVID 34 WILLIAM 32 CHRISTOPHER 28 JOSEPH 24 DANIEL 23 MATTHEW 22 ANTHONY 20
    JOSHUA 19 JASON 17 BRIAN 17 KEVIN 16 STEVEN 15 ERIC 15 TIMOTHY 15 JEFFREY 14 RICHARD 20 CHARLES 18 THOMAS 19
    MARK 16 DONALD 10 BRANDON 12 TYLER 10 JUSTIN 12 AARON 9 KYLE 8 ADAM 8 NATHAN 7 JEREMY 7 TRAVIS 6 DEREK 4 DUSTIN 4
    CODY 5 LARRY 6 JERRY 6 TERRY 5 MARCUS 5 TYRONE 3 JAMAL 2 DARNELL 2 TERRELL 2 DEANDRE 2 KIM 2 LINH 1 JENNIFER 9
    JESSICA 7 AMANDA 6 ASHLEY 6 MELISSA 5 STEPHANIE 5 NICOLE 5 AMBER 4 HEATHER 4 CRYSTAL 3 TIFFANY 3 MARY 5 PATRICIA 4
    LISA 4 KAREN 3 SARAH 4 ANGELA 4 BRITTANY 3 DANIELLE 3 MARIE 2 KIMBERLY 3 ZACHARY 4 XAVIER 1 ZANE 0.3 WYATT 0.5
    QUENTIN 0.3 EZEKIEL 0.1 ZEBULON 0.01"""
_PRIMERO = """
    JOSE 30 JUAN 25 LUIS 22 CARLOS 18 JESUS 15 MIGUEL 14 JORGE 12 FRANCISCO 10 ALEJANDRO 8 MANUEL 8 ANTONIO 8 RICARDO 7
    FERNANDO 6 EDUARDO 6 ROBERTO 6 OSCAR 5 JAVIER 5 RAFAEL 5 PEDRO 5 MARIA 8 ANA 3 GUADALUPE 2 ROSA 2 CARMEN 2
    JUAN.CARLOS 4 JOSE.LUIS 4 MARIA.ELENA 1 XIOMARA 0.2 ÁNGEL 5 ÓSCAR 1"""
# The pieces of rare names, one of each group: about 70,000 English and 6,000 Spanish last names, 3,000 first names.
_RARE_LAST = (
    """ASH BAR BECK BEL BLACK BRAD BROOK BUCK BUR CAL CARL CHES CLAY COL CRAN DAL DEN DUN EAST EDEN EL FAIR FEN FULL
    GOLD GRAN HAL HAM HART HAY HEN HOL HUNT KEN KING LANG LIN LOCK LONG MAR MAY MID NEW NOR OAK OLD PEN RED RICH ROCK
    ROS SAND SHEL SHER SOUTH STAN STRAT SUM SUT TAL THORN TRE WAL WAR WATER WEL WEST WHIT WIN WOOD YARD ZEL MCALL MCCOR
    MCGIN KOWAL PAW LEWAN WIS NOWA DOM GUTT HIRSCH EISEN ROSEN SCHWARZ VOGEL SANTI MONTE VILLA CASTA BENA""",
    "· EN ER IN EL A ING LING BER DEN TER STER O LE",
    """AM BERG BERGER BORNE BRIDGE BURN BURY BY COMBE COTT DALE DEN ER FIELD FORD GATE GROVE HAM HILL HURST ING KINS
    LAND LER LEY LOCK LOW MAN MANN MER MORE NELL NER NESS RIDGE ROW SEY SHAW SKI SON STEAD STEIN STER STONE STROM TON
    VER VILLE WAY WELL WICK WOOD WORTH YER NOS LLAS RIO""",
)
_RARE_SPANISH = (
    """ACE ALMO ALVA ARE ARRI BALLES BARRE BENA CABA CALDE CANTU CARDE CARRAN CASTA CERVAN CIS CORO ESPI ESTRA FONSE
    GALVA GAMBO HINO IBA LEDES LUNA MALDO MARIS MIRAN MONTE NAVA OCHO OLIVA ORNE PACHE PALO QUIÑO RENTE SALDI VILLA""",
    "· DI RA LLE SO NA GO",
    "LES NOS DO ZA EZ VEDO RES TES SA RIA LLO NDO QUE JAS RRA TA BAR LVO MAN ÑO ROS CHO",
)
_RARE_FIRST = (
    "DA DE JA KA KE LA LE MA NA QUA RA SHA TA TE TRE TY",
    "· MAR VON DRA LIN JO RI SHO BRI AN",
    "CORIUS DARIUS KEITH KIA LON MARCUS MARION METRIUS NARD NELL NISHA QUAN RELL RICK RON SEAN SHAWN TAVIUS VANTE Y",
)
_NICKNAMES = ["SHORTY", "RED", "LITTLE JOE", "GHOST", "DUTCH", "TREY", "FLACO", "CHINO", "GÜERO", "SMOKEY"]


@dataclass(frozen=True)
class Made:
    """What an agency says of one offender."""

    agency: str
    number: str
    first_name: str
    middle_name: str
    last_name: str
    birth_date: date | None
    booking_number: str
    aliases: tuple[str, ...]
    case_numbers: tuple[str, ...]


class _Weighted:
    """Draws names as often as their weights say, many at a time; ``share`` of them are rare ones."""

    def __init__(self, table: str, rare: tuple[str, ...] = (), share: float = 0) -> None:
        cells = table.split()
        names = [name.replace(".", " ") for name in cells[::2]]
        weights = [float(weight) for weight in cells[1::2]]
        if rare:
            made = ["".join(pieces).replace("·", "") for pieces in product(*(line.split() for line in rare))]
            # Weights fall with the place (Zipf's law), in an order without a pattern, or those that begin alike would
            # all be rare or all be frequent.
            harmonic = [1 / place for place in range(500, 500 + len(made))]
            scale = sum(weights) * share / (1 - share) / sum(harmonic)
            names += Random(SEED).sample(made, len(made))  # noqa: S311 - no secret
            weights += [each * scale for each in harmonic]
        self._names, self._weights, self._drawn = names, list(accumulate(weights)), []

    def __call__(self, random: Random) -> str:
        if not self._drawn:
            self._drawn = random.choices(self._names, cum_weights=self._weights, k=10_000)
        return self._drawn.pop()


def people(many: int) -> Iterator[Made]:
    """The same ones every time. One in twelve is somebody who was there before, under another number."""
    random = Random(SEED)  # noqa: S311 - no secret
    english, spanish = _Weighted(_ENGLISH, _RARE_LAST, 0.8), _Weighted(_SPANISH, _RARE_SPANISH, 0.4)
    first, primero = _Weighted(_FIRST, _RARE_FIRST, 0.3), _Weighted(_PRIMERO, _RARE_FIRST, 0.1)
    seen: list[Made] = []
    for number in range(many):
        chance = random.random()
        if seen and chance < 1 / 12:
            again = seen[int(random.random() * len(seen))]
            one = replace(again, agency=_one_of(random, AGENCIES), number=f"{number}", booking_number=f"B{number}")
            if random.random() < 0.3:  # and gave another name
                one = replace(one, last_name=english(random), aliases=(f"{again.last_name}, {again.first_name}",))
        else:
            hispanic = random.random() < 0.22
            last, given = (spanish if hispanic else english), (primero if hispanic and random.random() < 0.8 else first)
            one = Made(
                _one_of(random, AGENCIES),
                f"{number}" if number % 5 else f"{'ACWZ'[number // 5 % 4]}-{number}",
                given(random),
                _one_of(random, "ABCDEFGHIJKLMNOPRSTVW") if random.random() < 0.5 else "",
                _surname(random, last, twice=0.4 if hispanic else 0.03),
                BORN[0] + random.random() * (BORN[1] - BORN[0]) if random.random() < 0.98 else None,
                f"B{number}" if random.random() < 0.7 else "",
                tuple(_aliases(random, last, given)),
                tuple(_cases(random, number)),
            )
        if len(seen) < 100_000:
            seen.append(one)
        else:
            seen[number % len(seen)] = one
        yield one


def _surname(random: Random, draw: _Weighted, twice: float) -> str:
    last, chance = draw(random), random.random()
    if chance < twice:
        return f"{last}{' -'[random.random() < 0.3]}{draw(random)}"
    return f"{last} {_one_of(random, ('JR', 'SR', 'II', 'III'))}" if chance > 0.96 else last


def _aliases(random: Random, last: _Weighted, given: _Weighted) -> Iterator[str]:
    while random.random() < 0.15:
        yield f"{last(random)}, {given(random)}" if random.random() < 0.8 else _one_of(random, _NICKNAMES)


def _cases(random: Random, number: int) -> Iterator[str]:
    for count in range(4):
        if random.random() < 0.5:
            return
        # One in ten is another one's, too.
        case = number if random.random() < 0.9 else int(random.random() * number)
        yield f"{15 + case % 12}{'BCJSW'[case % 5]}{'ARUX'[case % 4]}-CR{case:07}-0{count}"


def _one_of(random: Random, choices: Sequence[str]) -> str:
    return choices[int(random.random() * len(choices))]
