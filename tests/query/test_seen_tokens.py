"""What a scan has seen of a file's tokens is not looked at again by the same process (docs/adr/0023)."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from raw_reader import HIGH, LOW, Raw
from rooms import TNM, catalog_of
from test_scan import coded, texts_or_codes

from cleanroom.errors import InvariantBroken
from cleanroom.partition import PersonsRows
from cleanroom.storage.scan import scan


def test_tokens_that_were_all_seen_are_not_looked_at_again() -> None:
    """Only in that range, of a single upload, and where nobody asks for them."""
    catalog = catalog_of(TNM, seats=(0, 99))

    def reader() -> Raw:
        return Raw([LOW, HIGH, HIGH], seats=coded(catalog, "seats", [1, 2, 3]))

    mine = reader()
    first = scan(catalog, [mine], ("seats",), bits=0, prefix=0)
    assert mine.seen == {(0, 0): 2}
    again = scan(catalog, [mine], ("seats",), bits=0, prefix=0, with_tokens=False)
    assert again.tokens is None
    assert (again.first.tolist(), again.starts.tolist()) == (first.first.tolist(), first.starts.tolist())
    assert texts_or_codes(again.columns["seats"]) == [1, 2, 3]
    with pytest.raises(InvariantBroken, match="without its tokens"):
        again.persons  # noqa: B018
    assert scan(catalog, [mine], ("seats",), bits=0, prefix=0).tokens is not None
    assert scan(catalog, [mine, reader()], ("seats",), bits=0, prefix=0, with_tokens=False).rows == 6
    # Nor are their counts taken on trust, or the cap forgotten.
    few = replace(catalog, max_rows_per_person=1)
    assert scan(few, [mine], ("seats",), bits=0, prefix=0, with_tokens=False).starts.tolist() == [0, 1, 2]
    for counts, said in (([3, 0], "ordered"), ([1, 1], "not those of its persons")):
        mine.held = replace(mine.held, counts=pa.array(counts, pa.uint32()))
        with pytest.raises(InvariantBroken, match=said):
            scan(catalog, [mine], ("seats",), bits=0, prefix=0, with_tokens=False)


def test_what_is_not_one_person_after_another_is_looked_at_each_time() -> None:
    """A token twice, one that is missing, one out of its range, disorder, a second upload."""
    catalog = catalog_of(TNM, seats=(0, 99))

    def raw(tokens: list[bytes | None]) -> Raw:
        made = Raw([LOW], seats=coded(catalog, "seats", list(range(len(tokens)))))
        units = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(tokens, pa.binary(16)))
        made.held = PersonsRows(units, pa.array([1] * len(tokens), pa.uint32()), made.held.rows, len(tokens))
        return made

    for tokens in ([LOW, LOW, HIGH], [None, HIGH], []):
        reader = raw(tokens)
        scan(catalog, [reader], ("seats",), bits=0, prefix=0, with_tokens=False)
        assert not reader.seen
    for tokens, bits in (([HIGH, LOW], 0), ([LOW, HIGH], 1)):
        reader = raw(tokens)
        with pytest.raises(InvariantBroken):
            scan(catalog, [reader], ("seats",), bits=bits, prefix=0, with_tokens=False)
        assert not reader.seen
    both = [raw([LOW, HIGH]), raw([])]
    scan(catalog, both, ("seats",), bits=0, prefix=0, with_tokens=False)
    assert not any(each.seen for each in both)
