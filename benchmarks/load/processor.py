"""How much of the machine's processor somebody takes, as Linux says; nothing is known elsewhere."""

import os
from pathlib import Path

PROC = Path("/proc")


def known() -> bool:
    """Says whether the system tells."""
    return (PROC / "stat").exists()


def machine_seconds() -> float:
    """Returns the processor seconds that the whole machine has spent, and was kept from."""
    first, _, _ = (PROC / "stat").read_text().partition("\n")
    user, nice, system, _, _, interrupts, soft, steal = map(int, first.split()[1:9])
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def group_seconds(group: int) -> float:
    """Returns the processor seconds that the processes of a group have spent so far."""
    spent = 0
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == group:
            spent += sum(map(int, fields[11:15]))  # also of children that have ended
    return spent / os.sysconf("SC_CLK_TCK")
