#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs measurements and prints their rows; scripts/bench is the command."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "EndToEnd"))

from rows import MEASUREMENTS  # noqa: E402


def measure(name):
    """Row name -> value."""
    import api_load
    import agent_life
    import cluster_life
    import launcher_runs
    import pod_life
    functions = {
        "cold-start": agent_life.cold_start, "idle": agent_life.idle, "pod-memory": agent_life.pod_memory,
        "pods": pod_life.latencies, "scale": pod_life.scale, "launcher": launcher_runs.measure,
        "create": api_load.create, "get": api_load.get, "list": api_load.list_objects, "watch": api_load.watch,
        "store": api_load.store, "join": cluster_life.join, "worker": cluster_life.worker,
        "flock": cluster_life.flock,
    }
    return functions[name]()


def line(row, value):
    reference = "" if row.reference is None else f"{row.reference:g}"
    verdict = "ok" if row.ratio(value) >= 1 else "MISSED"
    return (f"{row.text:<52} {value:>10.4g} {row.unit:<3} {row.sense} {row.target:<8g} {reference:>9} "
            f"{row.ratio(value):>6.2f} {verdict}")


def main():
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("--list", "--help", "-h"):
        print("usage: scripts/bench [--json] [--bin DIR] [NAME...]\n")
        for name, rows in MEASUREMENTS.items():
            print(f"  {name:<12} {'; '.join(row.text for row in rows.values())}")
        return
    names = [argument for argument in arguments if not argument.startswith("--")]
    unknown = [name for name in names if name not in MEASUREMENTS]
    unknown += [argument for argument in arguments if argument.startswith("--") and argument not in ("--json", "--check")]
    if unknown:
        sys.exit(f"error: unknown: {' '.join(unknown)}; scripts/bench --list shows what there is")
    if "--check" in arguments:
        return
    as_json = "--json" in arguments
    if not as_json:
        print(f"{'what':<52} {'value':>10}     {'target':<11} {'upstream':>9} {'ratio':>6}", flush=True)
    results, failed = [], []
    for name in names or MEASUREMENTS:
        print(f"measuring {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        try:
            values = measure(name)
        except Exception as error:  # One broken measurement must not hide the others; the exit code tells.
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        for key, row in MEASUREMENTS[name].items():
            value = values[key]
            results.append({"measurement": name, "row": key, "what": row.text, "unit": row.unit, "value": value,
                            "target": row.target, "sense": row.sense, "reference": row.reference,
                            "ratio": row.ratio(value), "load": os.getloadavg()[0]})
            if not as_json:
                print(line(row, value), flush=True)
    if as_json:
        print(json.dumps({"rows": results, "failed": failed}, indent=1))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
