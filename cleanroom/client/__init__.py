"""At the member's: normalise, tokenise, encrypt, sign. Ships without the engine: no DuckDB, no OpenDP."""

from cleanroom.client.conform import RowFault, RowsRefused
from cleanroom.client.csv_rows import Delimiter
from cleanroom.client.csv_text import Encoding, Packing
from cleanroom.client.linkage import LinkageKey, create_linkage_key, linkage_path, read_linkage_key
from cleanroom.client.read_table import ArrowStream, CsvFacts, Source
from cleanroom.client.upload import PreparedUpload, RoomFacts, SourceFacts, prepare
from cleanroom.client.values import ReasonKind
from cleanroom.client.written import DateForm, DecimalMark

__all__ = [
    "ArrowStream",
    "CsvFacts",
    "DateForm",
    "DecimalMark",
    "Delimiter",
    "Encoding",
    "LinkageKey",
    "Packing",
    "PreparedUpload",
    "ReasonKind",
    "RoomFacts",
    "RowFault",
    "RowsRefused",
    "Source",
    "SourceFacts",
    "create_linkage_key",
    "linkage_path",
    "prepare",
    "read_linkage_key",
]
