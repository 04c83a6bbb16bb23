"""What the tests that count by callgrind share."""
import json
import os
import shutil
import subprocess
import sys
import unittest

PRONY = os.environ["PRONY"]


def unavailable(*tools):
    """Why prony cannot count by callgrind here, or None."""
    for tool in ("valgrind", *tools):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    listed = json.loads(subprocess.run([PRONY, "list", "counters", "--probe", "--json"], check=True, capture_output=True,
                                       text=True).stdout)
    callgrind = next((entry for entry in listed if entry["name"] == "callgrind"), None)
    if callgrind is None:
        return "built without the provider callgrind"
    return None if callgrind["available"] else callgrind["reason"]


def main(*tools):
    missing = unavailable(*tools)
    if missing is not None:
        print("skipped:", missing)
        sys.exit(77)
    unittest.main()
