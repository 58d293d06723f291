"""The partition package: manifest, sealed data key, signature, encrypted table file. Shared by client and storage."""

from cleanroom.partition.intent import Act, Append, Correct, Erase, Intent, Replace
from cleanroom.partition.manifest import (
    LARGEST_GROUP_BITS,
    Manifest,
    StorageType,
    StoredColumn,
    TableFileFacts,
    storage_schema,
)
from cleanroom.partition.package import (
    MAGIC,
    Package,
    PackagePart,
    read_package,
    sealing_info,
    verify_signature,
    write_package,
)
from cleanroom.partition.table_file import TableFile, file_facts
from cleanroom.partition.table_layout import (
    TOKEN_BYTES,
    TOKEN_COLUMN,
    PersonsRows,
    aad_prefix,
    arrow_schema,
    first_at_prefix,
    group_bits_for,
    rows_under_tokens,
    token_array,
    token_bytes,
)
from cleanroom.partition.table_writing import persons_rows, write_table_file

__all__ = [
    "LARGEST_GROUP_BITS",
    "MAGIC",
    "TOKEN_BYTES",
    "TOKEN_COLUMN",
    "Act",
    "Append",
    "Correct",
    "Erase",
    "Intent",
    "Manifest",
    "Package",
    "PackagePart",
    "PersonsRows",
    "Replace",
    "StorageType",
    "StoredColumn",
    "TableFile",
    "TableFileFacts",
    "aad_prefix",
    "arrow_schema",
    "file_facts",
    "first_at_prefix",
    "group_bits_for",
    "persons_rows",
    "read_package",
    "rows_under_tokens",
    "sealing_info",
    "storage_schema",
    "token_array",
    "token_bytes",
    "verify_signature",
    "write_package",
    "write_table_file",
]
