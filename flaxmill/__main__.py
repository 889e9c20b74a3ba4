"""``python -m flaxmill`` is the command ``flaxmill``."""

import signal


def command() -> None:
    """Runs the command that was typed."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it can be answered with a message
    from flaxmill.memory_pages import begin_anew_with_large_pages

    begin_anew_with_large_pages()
    from flaxmill.cli import main  # takes longer than the lines above

    main()


if __name__ == "__main__":
    command()
