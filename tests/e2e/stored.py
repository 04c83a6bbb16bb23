"""A stored report with figures that are known, for tests of what reads reports."""
import copy
import random

CONTEXT = {"started": "2026-01-01T00:00:00Z", "started_s": 1767225600, "command": [], "repeat": "", "host": "one",
           "kernel": {"system": "Linux", "release": "6.1", "machine": "x86_64"}, "cpu": {"model": "A CPU"},
           "clocks": {"governor": "performance"}, "smt": {}, "mitigations": {}, "limits": {},
           "virtualisation": {"machine": "none", "container": None}, "system": {}, "topology": {"pus_present": 4}}
TOOL = {"name": "prony", "version": "0.1.0", "compiler": "gcc", "build": "RelWithDebInfo", "sanitized": False,
        "libraries": {}}
PLAN = {"suite": "made", "name": None, "seed": "1", "visits": 9, "samples": 2, "launches": 1, "precision_percent": 0,
        "budget_ns": 0, "timeout_ns": 1, "counters": {"provider": "none", "why": None, "events": []}, "notes": [],
        "cells": 1, "wall_ns": 1, "blocks": 9, "interrupted": False, "clock_ns": 20, "bookkeeping_ns": None}


def cell(name, ns, visits=9, seed=1, engine="thread", workload="primes", launches=1):
    """Visits of two samples within 1% of ns; the median visit is ns."""
    draw = random.Random(f"{name} {seed}")
    offsets = [0.01 * (v - (visits - 1) / 2) / max(visits - 1, 1) for v in range(visits)]
    draw.shuffle(offsets)
    times = [round(ns * (1 + offset)) for offset in offsets]
    ordered = sorted(times)
    k = 1 if visits > 8 else 0
    ci = [ordered[k], ordered[-1 - k]] if visits >= 6 else None
    return {"id": name, "engine": engine, "workload": workload, "shape": "map", "channel": None, "workers": 1,
            "placement": {"policy": "compact", "pus": [0], "bound": [0], "oversubscribed": False, "binding": True},
            "params": {}, "baseline": False, "dry": False, "about": None, "status": "ok", "reason": None, "items": 1000,
            "unit": "number", "repeats": 1, "verified": 2 * visits,
            "visits": [{"block": v, "launch": v * launches // visits, "t_ns": v, "samples_ns": [t, t], "phases_ns": {},
                        "disturbed": {"marked": False, "why": ""}} for v, t in enumerate(times)],
            "stats": {"median": ns, "ci95": ci, "visits": visits, "rate": 1000 / ns * 1e9,
                      "rate_ci95": [1000 / ci[1] * 1e9, 1000 / ci[0] * 1e9] if ci else None},
            "latency": {}, "counters": {}}


def report(*cells, **context):
    made = {"schema": "prony.report/1", "tool": copy.deepcopy(TOOL), "context": copy.deepcopy(CONTEXT),
            "plan": copy.deepcopy(PLAN), "cells": list(cells)}
    made["context"].update(context)
    return made
