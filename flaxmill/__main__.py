"""``python -m flaxmill`` is the command ``flaxmill``."""

from flaxmill.memory_pages import begin_anew_with_large_pages


def command() -> None:
    """Runs the command that was typed."""
    begin_anew_with_large_pages()
    from flaxmill.cli import main  # takes longer than the line above

    main()


if __name__ == "__main__":
    command()
