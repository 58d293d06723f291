"""What the tests of the command share."""

from cli_room import room, run_in

__all__ = ["room", "run_in"]
