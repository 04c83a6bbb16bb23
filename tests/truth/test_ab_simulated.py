"""prony ab --metric instructions: programs whose instructions differ by a known 0.1% are told apart on any machine."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PRONY = os.environ["PRONY"]
TURNS = 1_000_000
# No library and no loader: what is counted is the loop, three instructions to start and end it, and little else.
PROGRAM = r"""void _start(void)
{
#if defined __x86_64__
    __asm__ volatile("mov $TURNS, %ecx\n1: sub $1, %ecx\n\tjnz 1b\n\tmov $60, %eax\n\txor %edi, %edi\n\tsyscall");
#elif defined __aarch64__
    __asm__ volatile("ldr x9, =TURNS\n1: subs x9, x9, #1\n\tb.ne 1b\n\tmov x8, #93\n\tmov x0, #0\n\tsvc #0");
#else
#error "no loop for this CPU"
#endif
}
"""


def works():
    """Does valgrind run here, and is there a compiler?"""
    if shutil.which("valgrind") is None or shutil.which("cc") is None:
        return "valgrind or cc is not installed"
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "/bin/true"],
                          capture_output=True, check=False)
    return None if done.returncode == 0 else "valgrind does not run here"


class Simulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.where = tempfile.mkdtemp(prefix="prony-simulated-")
        cls.addClassCleanup(shutil.rmtree, cls.where)
        for name, turns in (("base", TURNS), ("more", TURNS * 1001 // 1000 + 1)):
            source = os.path.join(cls.where, name)
            with open(source + ".c", "w", encoding="utf-8") as file:
                file.write(PROGRAM.replace("TURNS", str(turns)))
            subprocess.run(["cc", "-O1", "-static", "-nostdlib", "-o", source, source + ".c"], check=True)

    def ab(self, base, head, *options, metric="instructions", code=0, env=None):
        done = subprocess.run([PRONY, "ab", "--metric", metric, "--base", "./" + base, "--head", "./" + head, "--pin",
                               "none", *options], cwd=self.where, capture_output=True, text=True, check=False,
                              env=dict(os.environ, TMPDIR=self.where, **(env or {})))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual([name for name in os.listdir(self.where) if name.startswith("prony-")], [])
        return done

    def row(self, *arguments, **keywords):
        verdict = json.loads(self.ab(*arguments, "--json", **keywords).stdout)
        row = verdict["benchmarks"][0]
        self.assertEqual((verdict["plan"]["read"], row["unit"], row["pairs"]), ("callgrind", "simulated", 6))
        return row

    def test_one_in_a_thousand_is_a_verdict(self):
        table = os.path.join(self.where, "ab.md")
        row = self.row("base", "more", "--out", "md:" + table, code=1)
        self.assertEqual(row["verdict"], "regressed")
        self.assertEqual(row["head"] - row["base"], 2 * (TURNS // 1000 + 1))
        self.assertAlmostEqual(row["base"], 2 * TURNS, delta=100)
        with open(table, encoding="utf-8") as file:
            self.assertIn("simulated", file.read())
        self.assertEqual(self.row("more", "base")["verdict"], "improved")

    def test_the_same_is_equivalent(self):
        row = self.row("base", "base")
        self.assertEqual((row["verdict"], row["interval_percent"]), ("equivalent", [0, 0]))

    def test_what_a_report_counted_can_be_compared(self):
        done = subprocess.run([PRONY, "run", "-e", "serial", "-w", "primes", "--visits", "2", "--samples", "1", "--counters",
                               "software:task-clock", "--json", "-q", "-o", os.path.join(self.where, "run")],
                              capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        counters = report["cells"][0]["counters"]
        counters["total"]["task-clock"].update(value=2_000_000)
        self.write("base.json", report)
        counters["total"]["task-clock"].update(value=2_002_000)
        self.write("head.json", report)
        done = subprocess.run([PRONY, "ab", "--read", "prony", "--metric", "task-clock", "--margin", "0.05%", "--pairs", "6",
                               "--base", "cat base.json", "--head", "cat head.json", "--json"], cwd=self.where,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        row = next(row for row in json.loads(done.stdout)["benchmarks"] if row["primary"])
        self.assertAlmostEqual(row["base"], 2_000_000 / counters["samples"] / counters["repeats"], places=3)
        self.assertAlmostEqual(row["change_percent"], 0.1, places=6)

    def write(self, name, report):
        with open(os.path.join(self.where, name), "w", encoding="utf-8") as file:
            json.dump(report, file)

    def test_without_valgrind(self):
        done = self.ab("base", "more", code=3, env={"PATH": "/nowhere"})
        self.assertIn("install valgrind", done.stderr)

    def test_an_unknown_count_has_a_nearest_name(self):
        done = self.ab("base", "more", "--read", "callgrind", metric="instruction", code=2)
        self.assertIn("did you mean instructions", done.stderr)

    def test_a_program_that_is_not_there(self):
        self.assertIn("nope", self.ab("nope", "base", code=3).stderr)


if __name__ == "__main__":
    REASON = works()
    if REASON is not None:
        print("skipped:", REASON)
        sys.exit(77)
    unittest.main()
