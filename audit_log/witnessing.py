"""A log's side of witnessing: ask each witness, prove what it needs, and gather the cosignatures on one checkpoint."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Final, Protocol, TypeAlias

from audit_log.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from audit_log.cosignature import accept_cosignatures
from audit_log.errors import LogUnreachable, MalformedCheckpoint, NotVerified
from audit_log.note import Verifier
from audit_log.policy import KnownWitness
from audit_log.reply import Reply
from audit_log.witness import ADD_CHECKPOINT, AddCheckpoint

# Once from what we believe it knows, once from what it says it knows, once more if another asked in between.
_ROUNDS: Final = 3

# Gives the consistency proof from an earlier size to the checkpoint's.
Prove: TypeAlias = Callable[[int], tuple[bytes, ...]]


class Poster(Protocol):
    """Sends a request to a witness."""

    def post(self, url: str, body: bytes) -> Reply:
        """Send a body and return the whole answer, of bounded length, within a bounded time.

        Raises:
            LogUnreachable: no answer.
        """


class Refusal(StrEnum):
    """Why a witness did not cosign."""

    UNREACHABLE = "unreachable"
    NOT_KNOWN = "not-known"  # it does not know this log or its key
    AHEAD = "ahead"  # it has cosigned a larger state of this log: ours is old, or was rolled back
    INCONSISTENT = "inconsistent"  # it has cosigned a state that this one does not contain: two histories
    WRONG_ANSWER = "wrong-answer"  # it answered something else than the protocol allows


@dataclass(frozen=True, slots=True)
class Declined:
    """A witness that did not cosign.

    Attributes:
        witness: the name of its key.
        why: the kind of reason; `ahead` and `inconsistent` ask for a human being, at once.
        said: its words, or ours; not authenticated.
    """

    witness: str
    why: Refusal
    said: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """A checkpoint with the cosignatures that could be had.

    Attributes:
        note: the checkpoint.
        sizes: for each witness that cosigned, by its vkey, the size it knows now; to be handed to the next call.
        declined: the others.
    """

    note: bytes
    sizes: dict[str, int] = field(default_factory=dict)
    declined: tuple[Declined, ...] = ()


def gather_cosignatures(
    note: bytes,
    log: Verifier,
    witnesses: Iterable[KnownWitness],
    prove: Prove,
    poster: Poster,
    *,
    sizes: dict[str, int] | None = None,
) -> Gathered:
    """Ask each witness to cosign a checkpoint. It must be durable: what left once can never be taken back.

    Args:
        note: the log's signed checkpoint, as `Log.checkpoint` returns it.
        log: the log's key.
        witnesses: of a policy, with the URL of their submission prefix.
        prove: gives the consistency proof from a size to the checkpoint's.
        poster: carries the requests.
        sizes: what each witness is believed to know, by vkey; one not listed is asked for it.

    Returns:
        The checkpoint with all cosignatures that hold, and who declined. One failing witness does not stop the others.

    Raises:
        NotVerified: the note is not this log's checkpoint.
    """
    checkpoint = open_checkpoint(note, log)
    gathered = note
    known = dict(sizes or {})
    declined: list[Declined] = []
    for witness in witnesses:
        vkey = witness.verifier.vkey
        answered = _ask(note, checkpoint, witness, prove, poster, known.get(vkey, 0))
        if isinstance(answered, Declined):
            declined.append(answered)
            continue
        try:
            gathered = accept_cosignatures(gathered, answered, witness.verifier)
        except NotVerified as error:
            declined.append(Declined(witness.verifier.name, Refusal.WRONG_ANSWER, error.reason))
            continue
        known[vkey] = checkpoint.size
    return Gathered(gathered, known, tuple(declined))


def _ask(
    note: bytes, checkpoint: Checkpoint, witness: KnownWitness, prove: Prove, poster: Poster, known: int
) -> bytes | Declined:
    def decline(why: Refusal, said: str) -> Declined:
        return Declined(witness.verifier.name, why, said)

    old = known if known <= checkpoint.size else 0
    for _ in range(_ROUNDS):
        body = AddCheckpoint(old, prove(old), note).encode()
        try:
            reply = poster.post(witness.url.rstrip("/") + ADD_CHECKPOINT, body)
        except LogUnreachable as error:
            return decline(Refusal.UNREACHABLE, error.reason)
        said = reply.body[:200].decode("utf-8", "replace").strip()
        match reply.status:
            case HTTPStatus.OK:
                return reply.body
            case HTTPStatus.CONFLICT:
                try:
                    old = parse_decimal(reply.body.decode("ascii").removesuffix("\n"))
                except (UnicodeDecodeError, MalformedCheckpoint):
                    return decline(Refusal.WRONG_ANSWER, "its size is not a number")
                if old > checkpoint.size:
                    return decline(
                        Refusal.AHEAD, f"it has cosigned {old} entries, this checkpoint has {checkpoint.size}"
                    )
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                return decline(Refusal.INCONSISTENT, said)
            case HTTPStatus.NOT_FOUND | HTTPStatus.FORBIDDEN:
                return decline(Refusal.NOT_KNOWN, said)
            case _:
                return decline(Refusal.WRONG_ANSWER, f"status {reply.status}: {said}")
    return decline(Refusal.WRONG_ANSWER, "its size changes with every request")
