"""A bank of faulty autoencoder programs and healthy look-alikes, and its benchmark.

Each program is rebuilt from a mistake that people make in public: `write(seed, fixed)`
writes it down with the fault (`fixed=False`) or with the textbook remedy. Rules may be
tuned on the part "tuning"; the part "heldback" makes the mistakes in other ways, on
other architectures and data, and is for measuring only.

>>> len({p.name for p in programs()}) == len(programs())
True

Run the benchmark with `python -m ae_lib.doctor.clinic`.
"""

from importlib.resources import files

from ae_lib.doctor.clinic.program import CODES, PARTS, Program, collect

__all__ = ["CODES", "PARTS", "Program", "programs"]


def programs(part: str = "all") -> list[Program]:
    """List the programs of a part: "tuning", "heldback" or "all"."""
    if part not in (*PARTS, "all"):
        raise ValueError(f"part must be one of {(*PARTS, 'all')}, got {part!r}")
    found = []
    for folder in PARTS if part == "all" else (part,):
        entries = (files(__name__) / folder).iterdir()
        names = sorted(entry.name for entry in entries)
        stems = [name.removesuffix(".py") for name in names if name[0] != "_"]
        found += collect(f"{__name__}.{folder}", stems)
    return found
