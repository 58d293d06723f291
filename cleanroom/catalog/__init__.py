"""What a table is: columns, types, domains, bounds. Pure; what the client and the gate both know."""

from cleanroom.catalog.columns import Category, Column, ColumnType, Date, Number, Text, day_number, day_of
from cleanroom.catalog.reader import CATALOG_KEYS, read_catalog
from cleanroom.catalog.table import Contribution, PrivacyUnit, TableCatalog

__all__ = [
    "CATALOG_KEYS",
    "Category",
    "Column",
    "ColumnType",
    "Contribution",
    "Date",
    "Number",
    "PrivacyUnit",
    "TableCatalog",
    "Text",
    "day_number",
    "day_of",
    "read_catalog",
]
