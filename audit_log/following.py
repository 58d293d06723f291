"""A member's witness that goes and looks: for whoever cannot be called, and believes only what it has read itself.

`Witness` answers a log that calls it with a proof. Most members have no address to be called at, and a proof shows
that a log only grew, not what it says. This one fetches the log, verifies every new entry, and cosigns then; what it
sends back is the checkpoint under its cosignature, for the room to keep (`store_cosigned`).
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

from audit_log.checkpoint import open_checkpoint
from audit_log.cosignature import accept_cosignatures
from audit_log.export import CHECKPOINT_FILE
from audit_log.memory import Memory
from audit_log.merkle import consistency_proof
from audit_log.note import Verifier
from audit_log.source import Source
from audit_log.verdict import Finding, Verdict
from audit_log.verifier import Progress, WrongFile, nodes_of, verify_source
from audit_log.witness import AddCheckpoint, Witness


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of looking at a log once.

    Attributes:
        verdict: what verification found.
        note: the checkpoint under this witness's cosignature; empty if it did not cosign.
    """

    verdict: Verdict
    note: bytes = b""


def follow(
    witness: Witness, log: Verifier, source: Source, memory: Memory, *, progress: Progress | None = None
) -> Followed:
    """Read what is new in a log, verify it, remember it, and cosign it.

    Args:
        witness: the member's; it knows the log.
        log: the log's key.
        source: where the log is served.
        memory: what this member has verified before; the witness's state does not say it, which a call may have moved.
        progress: told now and then how far it is.

    Returns:
        The verdict and, if it is `verified`, the cosigned checkpoint.

    Raises:
        LogUnreachable: the source did not answer.
        LogFault: the memory is damaged, or the witness's state cannot be written.
        NotVerified: another history of the same size is remembered.
    """
    known = memory.recall(log)
    verdict, note = verify_source(source, log.vkey, remembered=known, incremental=known is not None, progress=progress)
    if not verdict.ok:
        return Followed(verdict)
    memory.remember(log, note)
    checkpoint = open_checkpoint(note, log)
    old = witness.size_of(log.name)
    if old > checkpoint.size:
        return Followed(replace(verdict, code=Finding.ROLLED_BACK, place=CHECKPOINT_FILE, index=checkpoint.size))
    try:
        proof = consistency_proof(old, checkpoint.size, nodes_of(source, checkpoint))
    except WrongFile as found:
        return Followed(found.verdict)
    reply = witness.add_checkpoint(AddCheckpoint(old, proof, note).encode())
    match reply.status:
        case HTTPStatus.OK:
            return Followed(verdict, accept_cosignatures(note, reply.body, witness.verifier))
        case HTTPStatus.CONFLICT:
            return Followed(verdict)  # it was called by the log meanwhile, and has cosigned as much
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            # Either an old tile was served otherwise than it was, or the log is another than the one cosigned.
            again, _ = verify_source(source, log.vkey, progress=progress)
            rewritten = replace(verdict, code=Finding.HISTORY_REWRITTEN, place=CHECKPOINT_FILE, since=0)
            return Followed(rewritten if again.ok else again)
        case _:
            return Followed(replace(verdict, code=Finding.OTHER_LOG, place=CHECKPOINT_FILE, since=0))
