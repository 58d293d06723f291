"""Run the command as `python -m cleanroom.cli`."""

import sys

from cleanroom.cli.command import main

sys.exit(main())
