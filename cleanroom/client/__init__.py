"""At the member's: normalise, tokenise, encrypt, sign. Ships without the engine: no DuckDB, no OpenDP."""

from cleanroom.client.conform import BadRows, Clipped, OutOfBounds, Treatment
from cleanroom.client.csv_rows import Delimiter
from cleanroom.client.csv_text import Encoding, Packing
from cleanroom.client.dry_run import DryRun, StoredRow, StoredValue, rehearse
from cleanroom.client.faults import FaultReport, RowFault, RowsRefused
from cleanroom.client.gather import LeftOut, Options, SourceFacts
from cleanroom.client.identifier_list import read_identifiers
from cleanroom.client.linkage import LinkageKey, create_linkage_key, linkage_path, read_linkage_key
from cleanroom.client.opt_out import ErasedMemory, OptOut, OptOutMemory
from cleanroom.client.order import PersonCounts
from cleanroom.client.progress import Progress, Stage
from cleanroom.client.read_table import ArrowStream, CsvFacts, Source
from cleanroom.client.reading import Reading
from cleanroom.client.upload import PreparedUpload, RoomFacts, prepare
from cleanroom.client.values import ReasonKind
from cleanroom.client.vocabulary import Vocabulary, VocabularyUse, read_vocabulary
from cleanroom.client.written import DateForm, DecimalMark

__all__ = [
    "ArrowStream",
    "BadRows",
    "Clipped",
    "CsvFacts",
    "DateForm",
    "DecimalMark",
    "Delimiter",
    "DryRun",
    "Encoding",
    "ErasedMemory",
    "FaultReport",
    "LeftOut",
    "LinkageKey",
    "OptOut",
    "OptOutMemory",
    "Options",
    "OutOfBounds",
    "Packing",
    "PersonCounts",
    "PreparedUpload",
    "Progress",
    "Reading",
    "ReasonKind",
    "RoomFacts",
    "RowFault",
    "RowsRefused",
    "Source",
    "SourceFacts",
    "Stage",
    "StoredRow",
    "StoredValue",
    "Treatment",
    "Vocabulary",
    "VocabularyUse",
    "create_linkage_key",
    "linkage_path",
    "prepare",
    "read_identifiers",
    "read_linkage_key",
    "read_vocabulary",
    "rehearse",
]
