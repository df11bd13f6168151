"""The formats that a feed can have, by their names in the settings: a reader each."""

from feed import court_tsv, custody_csv, niem
from feed.records import Reader

FORMATS: dict[str, Reader] = {
    "custody changes": custody_csv,
    "custody snapshot": custody_csv,
    "court calendar": court_tsv,
    "niem": niem,
}
