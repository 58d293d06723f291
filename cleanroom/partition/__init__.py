"""The partition package: manifest, sealed data key, signature, encrypted table file. Shared by client and storage."""

from cleanroom.partition.intent import Append, Correct, Intent, Replace
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
from cleanroom.partition.table_file import (
    TOKEN_BYTES,
    TOKEN_COLUMN,
    TableFile,
    aad_prefix,
    arrow_schema,
    file_facts,
    first_at_prefix,
    group_bits_for,
    token_array,
    token_bytes,
    write_table_file,
)

__all__ = [
    "LARGEST_GROUP_BITS",
    "MAGIC",
    "TOKEN_BYTES",
    "TOKEN_COLUMN",
    "Append",
    "Correct",
    "Intent",
    "Manifest",
    "Package",
    "PackagePart",
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
    "read_package",
    "sealing_info",
    "storage_schema",
    "token_array",
    "token_bytes",
    "verify_signature",
    "write_package",
    "write_table_file",
]
