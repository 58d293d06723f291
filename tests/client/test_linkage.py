"""The linkage key: made once, on purpose, readable by its owner only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanroom.client.linkage import LinkageKey, create_linkage_key, linkage_path, read_linkage_key
from cleanroom.errors import Fault, UsageError
from cleanroom.identifiers import Epoch, RoomId
from key_management.secret import SecretKey

ROOM, EPOCH = RoomId("observatoire-2025"), Epoch("2025")


def test_made_once_and_read_back(tmp_path: Path) -> None:
    path = linkage_path(tmp_path, ROOM, EPOCH)
    assert path == tmp_path / "rooms/observatoire-2025/linkage/2025.key"
    made = create_linkage_key(path, room=ROOM, epoch=EPOCH)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_linkage_key(path) == made
    with pytest.raises(UsageError, match="never replaced"):
        create_linkage_key(path, room=ROOM, epoch=EPOCH)
    assert read_linkage_key(path) == made
    assert made.secret.reveal_secret_bytes().hex() not in repr(made)


def test_another_key_room_or_epoch_has_another_check() -> None:
    one, other = SecretKey.generate(), SecretKey.generate()
    checks = {
        LinkageKey(RoomId(room), Epoch(epoch), key).check()
        for key in (one, other)
        for room in ("r", "s")
        for epoch in ("1", "2")
    }
    assert len(checks) == 8
    assert all(len(check) == 32 and check != one.reveal_secret_bytes() for check in checks)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "2025.key"
    create_linkage_key(path, room=ROOM, epoch=EPOCH)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(Fault, match="others can read it") as refused:
            read_linkage_key(path)
        assert "d'autres peuvent le lire" in refused.value.message.fr


def test_a_link_a_missing_file_and_another_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "2025.key"
    create_linkage_key(path, room=ROOM, epoch=EPOCH)
    link = tmp_path / "link.key"
    link.symlink_to(path)
    for at in (link, tmp_path / "none.key", tmp_path):
        with pytest.raises(Fault):
            read_linkage_key(at)
    text = path.read_text(encoding="utf-8")
    for broken in (text.upper(), text + "\n", text.replace("/v1", "/v2"), text[:-2], ""):
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(Fault, match="no linkage key"):
            read_linkage_key(path)


@pytest.mark.parametrize(
    ("room", "epoch"), [("../up", "1"), ("", "1"), ("r", "../1"), ("r", ""), ("r/s", "1"), (".", "1")]
)
def test_names_that_leave_the_directory_are_refused(tmp_path: Path, room: str, epoch: str) -> None:
    with pytest.raises(UsageError):
        linkage_path(tmp_path, RoomId(room), Epoch(epoch))
