"""``python -m flaxmill`` is the command ``flaxmill``."""

from flaxmill.cli import main

main()
