"""Run the doctor over the clinic and count."""

import time
import warnings
from collections import Counter

import torch

from ae_lib.doctor.clinic import programs, remedies


def examine_one(part: str, name: str, seed: int, repair: bool, twin: bool) -> dict:
    """Examine one program of a part and return a row of the benchmark.

    `first` is the code of the first finding, "-" for none, "crash" when `examine`
    raised. Alarms are findings of severity error or warning; seconds are CPU time of
    this process, so that a busy machine does not change them. `repair` trains the
    program with and without the remedy of the first finding, which is a hint where
    there is no alarm (a healthy one as it is); `twin` examines the textbook repair too,
    which counts as one more healthy program.
    """
    torch.set_num_threads(1)
    program = next(p for p in programs(part) if p.name == name)
    row = {"name": name, "part": part, "seed": seed}
    row |= {"expected": program.code, "accepts": list(program.accepts)}
    row |= _findings(program.build(seed), seed)
    if twin and program.code:
        row["twin"] = _findings(program.repair(seed), seed)
    if repair:
        row["bar"] = program.bar
        if program.code:
            code = (row.get("codes") or ["-"])[0]
            row |= remedies.outcome(program, code, row["remedy"], seed)
        else:
            row["repaired"] = program.outcome(seed)
    return row


def _findings(case: dict, seed: int) -> dict:
    from ae_lib import doctor  # late, so that the bank can be read without the rules

    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = doctor.examine(**case, seed=seed)
        except Exception as error:  # a crash of any kind is a miss, not the end
            crash = f"{type(error).__name__}: {error}"
            seconds = time.process_time() - began
            row = {"alarms": ["crash"], "remedy": "", "crash": crash}
            return {**row, "seconds": seconds}
    row = {"alarms": report.faults, "codes": report.codes}
    row["seconds"] = time.process_time() - began
    return {**row, "remedy": report.findings[0].remedy if report.findings else ""}


def first(row: dict) -> str:
    """Return the first alarm of a row, "-" for none."""
    return row["alarms"][0] if row["alarms"] else "-"


def hit(row: dict, among: int) -> bool:
    """Tell whether a right cause is among the first alarms."""
    right = {row["expected"], *row["accepts"]}
    return bool(right & set(row["alarms"][:among]))


def hinted(row: dict) -> bool:
    """Tell whether a right cause is among the first three findings, hints included."""
    right = {row["expected"], *row["accepts"]}
    return bool(right & set(row.get("codes", row["alarms"])[:3]))


def repaired(row: dict) -> bool:
    """Tell whether the remedy lifts the measure over the bar and the faulty program."""
    return row["repaired"] > max(row["bar"], row.get("as_found", row["bar"]))


def share(hits: list[bool]) -> dict:
    """Return a count, its base and the quotient (None without a base)."""
    n = len(hits)
    return {"hits": sum(hits), "n": n, "share": sum(hits) / n if n else None}


def summarise(rows: list[dict]) -> dict:
    """Return the figures the doctor is judged by, and its confusions.

    Confusions are [expected, first alarm, count], most frequent first.
    """
    sick = [row for row in rows if row["expected"]]
    well = [row for row in rows if not row["expected"]]
    twins = [row["twin"] for row in rows if "twin" in row]
    checked = [row for row in sick if "repaired" in row]
    wrong = Counter((row["expected"], first(row)) for row in sick if not hit(row, 1))
    wrong += Counter(("healthy", first(row)) for row in well if row["alarms"])
    seconds = torch.tensor([row["seconds"] for row in rows] or [float("nan")])
    return {
        "first": share([hit(row, 1) for row in sick]),
        "first_three": share([hit(row, 3) for row in sick]),
        "hinted": share([hinted(row) for row in sick]),
        "false_alarms": share([bool(row["alarms"]) for row in well]),
        "twin_alarms": share([bool(twin["alarms"]) for twin in twins]),
        "repairs": share([repaired(row) for row in checked]),
        "repairs_executed": share(
            [repaired(row) for row in checked if row.get("applied") == "executed"]
        ),
        "crashes": sum("crash" in row for row in rows),
        "median_seconds": seconds.median().item(),
        "largest_seconds": seconds.max().item(),
        "confusions": [[*pair, n] for pair, n in wrong.most_common()],
    }


def by_code(rows: list[dict]) -> dict:
    """Return for each expected code the programs, right first and in first three."""
    found = {}
    for row in rows:
        if row["expected"]:
            entry = found.setdefault(row["expected"], [0, 0, 0])
            for at, yes in enumerate((True, hit(row, 1), hit(row, 3))):
                entry[at] += yes
    keys = ("programs", "first", "first_three")
    return {code: dict(zip(keys, found[code], strict=True)) for code in sorted(found)}


def line(row: dict) -> str:
    """Return one line of the table."""
    if row["expected"]:
        mark = "ok" if hit(row, 1) else ("top 3" if hit(row, 3) else "MISS")
        mark = "hint" if mark == "MISS" and hinted(row) else mark
    else:
        mark = "ALARM" if row["alarms"] else "ok"
    text = f"{row['name']:34s} {row['expected'] or 'healthy':20s} {mark:6s}"
    text += f"{row['seconds']:5.1f} s  {', '.join(row['alarms'][:3]) or '-'}"
    if "repaired" in row:
        found = f"{row['as_found']:.2f} -> " if "as_found" in row else ""
        text += f"  [{found}{row['repaired']:.2f}, bar {row['bar']}"
        text += f", {row['applied']}]" if "applied" in row else "]"
    if row.get("twin", {}).get("alarms"):
        text += f"  repaired twin: {', '.join(row['twin']['alarms'][:3])}"
    return text + (f"  {row['crash']}" if "crash" in row else "")


def table(summary: dict) -> str:
    """Return the figures and the compact confusion matrix as text."""

    def part(key: str) -> str:
        s = summary[key]
        return f"{s['hits']} of {s['n']}" + (f" ({s['share']:.0%})" if s["n"] else "")

    lines = ["confusions (expected -> first alarm: count)"]
    lines += [f"  {a:20s} -> {b:20s}: {n}" for a, b, n in summary["confusions"]]
    lines += [
        f"right cause first            {part('first')}",
        f"right cause in first three   {part('first_three')}",
        f"  with hints (information)   {part('hinted')}",
        f"healthy with an alarm        {part('false_alarms')}",
    ]
    if summary["twin_alarms"]["n"]:
        lines.append(f"repaired twins with an alarm {part('twin_alarms')}")
    if summary["repairs"]["n"]:
        lines.append(f"first remedy works           {part('repairs')}")
        lines.append(f"  of those executed          {part('repairs_executed')}")
    lines.append(
        f"seconds per examination      {summary['median_seconds']:.1f} median, "
        f"{summary['largest_seconds']:.1f} largest; {summary['crashes']} crashes"
    )
    return "\n".join(lines)
