"""The formats that a feed can have, by their names in the settings: a reader each."""

from feed import court_tsv, custody_csv, niem
from feed.records import COURT, SNAPSHOT, Reader

FORMATS: dict[str, Reader] = {
    "custody changes": custody_csv,
    SNAPSHOT: custody_csv,
    COURT: court_tsv,
    "niem": niem,
}
