"""Says at once that Python is too old, where pip would go on and speak of other packages.

What is installed, and how, pyproject.toml says.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever reads this message has such a Python
    sys.exit(f"flaxmill needs Python 3.11 or newer, and this is Python {sys.version.split()[0]}.")

from setuptools import setup

setup()
