"""What can go wrong in the log, each with its evidence.

Two families: a `LogFault` says that the log, its database or its caller is in a state that must stop the work;
`NotVerified` says that something handed to us does not prove what it claims.
"""


class LogFault(Exception):
    """The log cannot go on; nothing was written."""


class OutsideTransaction(LogFault):
    """A write was asked for without an open transaction of the caller."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation} needs an open transaction of the caller (BEGIN IMMEDIATE)")


class InsideTransaction(LogFault):
    """A signed statement was asked for before the transaction that it covers is durable."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation} leaves the process: commit the open transaction first")


class NotDurable(LogFault):
    """The connection does not promise that a committed entry survives a loss of power."""

    def __init__(self, setting: str, found: str, wanted: str) -> None:
        self.setting = setting
        self.found = found
        self.wanted = wanted
        super().__init__(f"{setting} is {found}, the log needs {wanted}")


class LogDamaged(LogFault):
    """The tables contradict each other or what was signed; the log refuses to sign anything more."""

    def __init__(self, place: str, reason: str, index: int = -1) -> None:
        self.place = place
        self.reason = reason
        self.index = index
        super().__init__(f"{place}: {reason}" if index < 0 else f"{place}, entry {index}: {reason}")


class WriterStopped(LogFault):
    """The log's writer has stopped for good: the disk is full or failed, or the log is damaged. Restart, do not retry.

    What was being written was not acknowledged; it may be in the log all the same, as after a crash.

    Attributes:
        reason: what the disk or the log said.
        french, english: the same for people.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.french = (
            f"Le journal ne peut plus être écrit ({reason}). Rien de ce qui n'est pas consigné n'aura lieu. Vérifiez "
            "l'espace et l'état du disque, puis redémarrez ; n'essayez pas de nouveau sans redémarrer."
        )
        self.english = (
            f"The log can no longer be written ({reason}). Nothing that is not recorded will happen. Check the disk's "
            "space and health, then restart; do not try again without restarting."
        )
        super().__init__(self.english)


class NoSuchEntry(LogFault):
    """The log has no entry under this index, or none at this size."""

    def __init__(self, index: int, size: int) -> None:
        self.index = index
        self.size = size
        super().__init__(f"no entry {index} in a log of {size} entries")


class DetailsErased(LogFault):
    """The details of this entry were erased, by a logged decision."""

    def __init__(self, index: int, erased_by: int) -> None:
        self.index = index
        self.erased_by = erased_by
        super().__init__(f"the details of entry {index} were erased by entry {erased_by}")


class NotAReader(LogFault):
    """The details of this entry are not sealed for this reader."""

    def __init__(self, index: int, reader: str) -> None:
        self.index = index
        self.reader = reader
        super().__init__(f"the details of entry {index} are not sealed for {reader}")


class NotVerified(Exception):
    """A signature, proof, commitment or seal does not hold.

    Attributes:
        place: what was being checked ("checkpoint", "inclusion proof", a file's path).
        reason: why it does not hold; says nothing of encrypted contents.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}")


class MalformedNote(NotVerified):
    """Not a signed note or key (c2sp.org/signed-note)."""

    def __init__(self, reason: str) -> None:
        super().__init__("note", reason)


class MalformedCheckpoint(NotVerified):
    """A note whose text is not a checkpoint (c2sp.org/tlog-checkpoint)."""

    def __init__(self, reason: str) -> None:
        super().__init__("checkpoint", reason)


class MalformedReceipt(NotVerified):
    """Not a c2sp.org/tlog-proof@v1."""

    def __init__(self, reason: str) -> None:
        super().__init__("receipt", reason)


class MalformedTile(NotVerified):
    """Not a tile, bundle or path of c2sp.org/tlog-tiles.

    Attributes:
        offset: position within the bundle (entries, from 0) where reading stopped; -1 if it does not apply.
    """

    def __init__(self, reason: str, offset: int = -1) -> None:
        self.offset = offset
        super().__init__("tile", reason)


class MalformedEntry(NotVerified):
    """Not an envelope, an event or details that may be logged.

    Attributes:
        field: the offending field; "" for the whole.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(f"entry field {field}" if field else "entry", reason)


class MalformedPolicy(NotVerified):
    """Not a trust policy (c2sp.org/tlog-policy).

    Attributes:
        line: of the file, from 1; 0 for the whole.
    """

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(f"policy line {line}" if line else "policy", reason)


class QuorumMissing(NotVerified):
    """A checkpoint that its log signed, but too few of the policy's witnesses.

    Attributes:
        quorum: the witness or group that the policy demands.
        cosigned: names of the witnesses that did cosign.
    """

    def __init__(self, quorum: str, cosigned: tuple[str, ...]) -> None:
        self.quorum = quorum
        self.cosigned = cosigned
        super().__init__("policy", f"{quorum} has not witnessed; cosigned by {', '.join(cosigned) or 'no one'}")


class MalformedRequest(NotVerified):
    """Not a request of c2sp.org/tlog-witness."""

    def __init__(self, reason: str) -> None:
        super().__init__("request", reason)


class LogUnreachable(LogFault):
    """A log's files could not be fetched; it says nothing about the log."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url}: {reason}")
