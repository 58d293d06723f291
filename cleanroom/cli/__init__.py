"""The command `cleanroom`, in French and in English (DESIGN §8). Parses, calls the room, prints; decides nothing."""

from cleanroom.cli.command import main

__all__ = ["main"]
