"""Each kind of bad file gets exactly the message that stands in `bad_files.yaml`, in both languages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from bad_files import BAD_FILES

from cleanroom.client import LinkageKey, Options
from cleanroom.client.gather import gather
from cleanroom.client.reading import Reading
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import Epoch, RoomId
from key_management.secret import SecretKey

GOLDEN = Path(__file__).with_name("bad_files.yaml")
MESSAGES: dict[str, dict[str, str]] = yaml.safe_load(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
KEY = LinkageKey(RoomId("salle"), Epoch("1"), SecretKey.generate())


def said(case: str, directory: Path) -> dict[str, str]:
    made = BAD_FILES[case]
    path = directory / made.name
    made.write(path)
    with pytest.raises((CleanroomError, OSError)) as wrong:
        gather(path, made.catalog, KEY, Options(reading=Reading(sheet=made.sheet)))
    assert isinstance(wrong.value, CleanroomError), wrong.value
    message = wrong.value.message
    return {each: text.replace(str(directory), "…") for each, text in (("fr", message.fr), ("en", message.en))}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_in_both_languages(tmp_path: Path, case: str) -> None:
    if case == "no permission" and os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    assert said(case, tmp_path) == MESSAGES[case]


def test_every_message_belongs_to_a_file() -> None:
    assert list(MESSAGES) == list(BAD_FILES)
    assert len(BAD_FILES) >= 40
