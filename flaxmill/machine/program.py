"""How this program is called here, so that every command that a message shows runs as it stands.

Whoever typed ``.venv/bin/flaxmill`` has no ``flaxmill`` that a shell would find, and whoever typed
``python -m flaxmill`` may have another one there.
"""

import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from flaxmill.machine.terminal import plain

NAME = "flaxmill"


def command_line(command: str = "") -> str:
    """Returns a command of flaxmill as it is to be typed here.

    Args:
        command: What follows the program's name, such as ``train mnist``; paths in it are quoted.
    """
    return f"{_program()} {command}".rstrip()


def install_command(extra: str = "") -> str:
    """Returns the command that installs what flaxmill, or an extra of it, needs here.

    It names the packages themselves, and so needs neither a checkout nor a package index that has
    flaxmill.

    Args:
        extra: Such as ``onnx``; without one, what flaxmill cannot do without.
    """
    from importlib import metadata  # takes longer than everything else here

    try:
        packages = _requirements(metadata.requires(NAME) or (), extra)
    except metadata.PackageNotFoundError:  # it runs from a folder that is not installed
        packages = [f"{Path(__file__).parents[2]}{f'[{extra}]' if extra else ''}"]
    return f"{_python()} -m pip install {shlex.join(packages)}"


def _requirements(requirements: Iterable[str], extra: str) -> list[str]:
    """Returns a package's requirements that belong to an extra, or to none."""
    packages = []
    for requirement in requirements:
        package, _, condition = requirement.partition(";")
        if (re.findall(r"extra == .([\w-]+)", condition) or [""]) == [extra]:
            packages.append(package.strip())
    return packages


def quote(word: str | Path) -> str:
    r"""Quotes a word for a shell, with escapes for what is not printable.

    >>> quote("my photos"), quote("a\nb"), quote("it's\x1b")
    ("'my photos'", "$'a\\nb'", "$'it\\'s\\x1b'")
    """
    text = str(word)
    if plain(text) == text:
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(one: str) -> str:
    """Returns a character as it is written within ``$'…'``."""
    if "\udc80" <= one <= "\udcff":  # a byte of a file's name that is no text
        return f"\\x{ord(one) - 0xDC00:02x}"
    if plain(one) != one and ord(one) > 0x7F:  # \x is a byte there
        return f"\\U{ord(one):08x}"
    return f"\\{one}" if one in "\\'" else plain(one)


def shell_path(path: str | Path) -> str:
    """Returns a path quoted for a shell, relative where it lies below this folder."""
    from_here = os.path.relpath(path)
    below = not from_here.startswith(os.path.join(os.pardir, ""))
    return quote(from_here if below else os.path.abspath(path))


def _program() -> str:
    """Returns the program as it was started, or else as it lies beside the running Python."""
    started = Path(sys.argv[0] if sys.argv else "")
    if started.name == NAME and started.is_file():
        return _shell_word(str(started))
    as_module = started.name == "__main__.py" and started.parent.name == NAME
    script = os.path.join(sysconfig.get_path("scripts"), NAME)
    if not as_module and os.path.isfile(script):  # a script or a notebook, which imports flaxmill
        return _shell_word(script)
    return f"{_python()} -m {NAME}"


def _shell_word(file: str) -> str:
    """Returns the shortest word by which a shell in this folder finds a program.

    Links are not followed to the end: the Python of an environment is a link to another's.
    """
    folder, name = os.path.split(os.path.abspath(file))
    by_name = shutil.which(name)
    if by_name and os.path.realpath(os.path.dirname(by_name)) == os.path.realpath(folder):
        return name
    return (
        shell_path(file)
        if os.sep in shell_path(file)
        else os.path.join(os.curdir, shell_path(file))
    )


def _python() -> str:
    return _shell_word(sys.executable)
