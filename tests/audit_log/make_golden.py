"""Write golden.json again: `.venv/bin/python tests/audit_log/make_golden.py`. A change there is a change of format."""

import base64
import hashlib
import json
from pathlib import Path

from audit_samples import VKEY, fixed_leaves, naive_files, naive_leaf_hash, naive_note, naive_path, naive_root

SIZES = (0, 1, 255, 256, 257)


def receipt(leaves, index):
    hashes = [naive_leaf_hash(leaf) for leaf in leaves]
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}"]
    lines += [base64.b64encode(each).decode() for each in naive_path(index, hashes)]
    return "\n".join([*lines, "", ""]).encode() + naive_note(len(leaves), naive_root(hashes))


def golden():
    logs = {}
    for size in SIZES:
        leaves = fixed_leaves(size)
        files = naive_files(leaves)
        logs[str(size)] = {
            "checkpoint": files["checkpoint"].decode(),
            "sha256": {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)},
            "receipt_of_last": receipt(leaves, size - 1).decode() if size else "",
        }
    return {"vkey": VKEY, "logs": logs}


if __name__ == "__main__":
    path = Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
