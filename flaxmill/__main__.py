"""``python -m flaxmill`` is the command ``flaxmill``."""

import os
import signal
import sys


def command() -> None:
    """Runs the command that was typed."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it can be answered with a message
    if sys.argv[1:2] == ["serve"]:  # whom it does not end; it waits until the server takes it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    _fill_in_streams()
    from flaxmill.machine.memory_pages import begin_anew_with_large_pages

    begin_anew_with_large_pages()
    from flaxmill.commands.cli import main

    main()


def _fill_in_streams() -> None:
    """Has a stream that is closed (``>&-``) lead nowhere, lest a file of ours takes its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)  # mostly opened as that already
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


if __name__ == "__main__":
    command()
