"""A log with a writer, many threads at once, and a process of its own that writes."""

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from audit_samples import READERS, VKEY, connect, new_log

from audit_log import (
    GroupWriter,
    verify_database,
)

HERE = str(Path(__file__).parent)


@pytest.fixture
def log(db):
    connection, log = new_log(db)
    with closing(connection):
        connection.execute("CREATE TABLE balance (who TEXT PRIMARY KEY, spent INTEGER)")
    return log


def writer_of(db, log):
    return GroupWriter(lambda: connect(db), log)


def verified(db, **more):
    with closing(connect(db)) as connection:
        return verify_database(connection, VKEY, readers=READERS, **more)


def together(count, call):
    """Run a call in so many threads; return all results, and raise the first error."""
    results, errors = [], []

    def run(number):
        try:
            results.append(call(number))
        except BaseException as error:  # whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


WRITER = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from audit_samples import READERS, connect, event, signer
from audit_log import GroupWriter, Log, LogFault
from audit_samples import ORIGIN
threads, each = int(sys.argv[3]), int(sys.argv[4])
def connection():
    opened = connect(sys.argv[1])
    opened.execute("PRAGMA busy_timeout = 60000")
    return opened
writer = GroupWriter(connection, Log(ORIGIN, signer()))
failed = []
def run():
    for _ in range(each):
        try:
            index = writer.append(event(), {}, READERS)
        except LogFault as error:
            failed.append(error)
            return
        sys.stdout.write(f"{index}\\n")
        sys.stdout.flush()
workers = [threading.Thread(target=run) for _ in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
if failed:
    try:
        writer.append(event(), {}, READERS)  # the disk works again; the writer must not
    except LogFault as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def start(db, threads, each, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db), HERE, str(threads), str(each)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
