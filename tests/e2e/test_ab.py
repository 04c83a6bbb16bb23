"""prony ab with commands that print known numbers: verdicts, exit codes, formats, bad input. No timing decides."""
import json
import os
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree

from program import PRONY, SOURCE, ProgramTest, is_alive

COUNTED = """#!/bin/sh
# Prints line N of a file at its N-th launch, from the first one again after the last; commas become lines.
n=$(cat "$0.count" 2>/dev/null || echo 0)
echo $((n + 1)) >"$0.count"
lines=$(wc -l <"$0.lines")
sed -n "$((n % lines + 1))p" "$0.lines" | tr ',' '\\n'
"""


class Comparison(ProgramTest):
    def says(self, name, *lines):
        """A command that says one of these lines at each launch, in turn."""
        path = self.write(name, COUNTED)
        os.chmod(path, 0o755)
        self.write(name + ".lines", "".join(line + "\n" for line in lines))
        return "./" + name

    def ab(self, base, head, *arguments, code=0):
        done = self.prony("ab", "--base", base, "--head", head, *arguments, "--pin", "none", "--json", code=code)
        return self.valid(json.loads(done.stdout))

    def numbers(self, *arguments, **keywords):
        return self.ab(*arguments, "--read", "numbers", **keywords)

    def valid(self, verdict):
        try:
            import jsonschema
        except ImportError:
            return verdict
        with open(os.path.join(SOURCE, "results", "schema", "verdict.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(verdict, json.load(file))
        return verdict

    def row(self, verdict, name="number"):
        return next(row for row in verdict["benchmarks"] if row["benchmark"] == name and row["primary"])


class Verdicts(Comparison):
    def test_regressed(self):
        verdict = self.numbers("echo 100", "echo 103", code=1)
        row = self.row(verdict)
        self.assertEqual((verdict["verdict"], row["verdict"], row["pairs"]), ("regressed", "regressed", 20))
        self.assertAlmostEqual(row["change_percent"], 3, places=6)
        self.assertEqual(row["interval_percent"], [row["change_percent"]] * 2)
        self.assertEqual(verdict["sequence"].count("A"), 20)
        for block in range(0, 40, 4):
            self.assertIn(verdict["sequence"][block:block + 4], ("ABBA", "BAAB"))
        self.assertEqual(len({verdict["sequence"][block:block + 4] for block in range(0, 40, 4)}), 2)

    def test_improved_and_equivalent(self):
        self.assertEqual(self.numbers("echo 103", "echo 100")["verdict"], "improved")
        self.assertEqual(self.numbers("echo 100", "echo 100.9")["verdict"], "equivalent")
        same = self.numbers("echo 100", "echo 100")
        self.assertEqual(same["verdict"], "equivalent")
        self.assertTrue(same["plan"]["same_command"])

    def test_margins(self):
        self.assertEqual(self.numbers("echo 100", "echo 103", "--margin", "5%")["verdict"], "equivalent")
        verdict = self.numbers("printf 'x.a 100\\nx.b 100\\ny 100\\n'", "printf 'x.a 103\\nx.b 103\\ny 103\\n'",
                               "--margin-for", "x*=5", "--margin-for", "x.b=2%", code=1)
        self.assertEqual([self.row(verdict, name)["verdict"] for name in ("x.a", "x.b", "y")],
                         ["equivalent", "regressed", "regressed"])

    def test_higher_is_better(self):
        verdict = self.numbers("echo 100", "echo 97", "--higher-is-better", code=1)
        self.assertAlmostEqual(self.row(verdict)["change_percent"], -3, places=6)
        self.assertEqual(self.numbers("echo 100", "echo 103", "--higher-is-better")["verdict"], "improved")

    def test_noise_is_inconclusive(self):
        head = self.says("head", "90", "112", "93", "108")
        row = self.row(self.numbers("echo 100", head, "--warmup", "0"))
        self.assertEqual(row["verdict"], "inconclusive")
        low, high = row["interval_percent"]
        self.assertTrue(low < -5 and high > 5, row)
        self.says("head", "90", "112", "93", "108")
        self.numbers("echo 100", "./head", "--require-power", code=4)

    def test_the_pairs_that_would_decide(self):
        head = self.says("head", "100.2", "103", "103", "103", "103")
        row = self.row(self.numbers("echo 100", head, "--pairs", "6", "--warmup", "0"))
        self.assertEqual(row["verdict"], "inconclusive")
        self.assertGreater(row["decisive_pairs"], 6)

    def test_several_benchmarks_are_judged_together(self):
        verdict = self.numbers("printf 'a 100\\nb 100\\n'", "printf 'b 103\\na 100\\n'", code=1)
        self.assertEqual([self.row(verdict, name)["verdict"] for name in "ab"], ["equivalent", "regressed"])
        self.assertAlmostEqual(self.row(verdict, "b")["p_adjusted"], 2 * 2 * 0.5 ** 20)
        # One pair of ten the other way: enough alone (p 0.0215), and not among ten benchmarks.
        names = [f"n{i}" for i in range(10)]
        base = "printf '" + "".join(f"{name} 100\\n" for name in names) + "'"
        lines = [",".join(f"{name} {value if name == 'n0' else 100}" for name in names) for value in [97] + [103] * 9]
        verdict = self.numbers(base, self.says("head", *lines), "--pairs", "10", "--warmup", "0")
        self.assertEqual(self.row(verdict, "n0")["verdict"], "inconclusive")
        self.numbers("echo 'n0 100'", self.says("alone", *["n0 97"] + ["n0 103"] * 9), "--pairs", "10", "--warmup", "0",
                     code=1)

    def test_a_launch_becomes_one_number(self):
        head = "printf '103\\n500\\n900\\n'"
        self.assertEqual(self.row(self.numbers("echo 100", head, code=1))["head"], 103)
        self.assertEqual(self.row(self.numbers("echo 100", head, "--reduce", "median", code=1))["head"], 500)
        self.assertEqual(self.row(self.numbers("echo 100", "printf '1\\n97\\n'", "--higher-is-better", code=1))["head"],
                         97)

    def test_precision_takes_more_pairs(self):
        head = self.says("head", "97", "103", "100")
        row = self.row(self.numbers("echo 100", head, "--pairs", "8", "--precision", "1%", "--budget", "60s"))
        self.assertGreater(row["pairs"], 8)
        low, high = row["interval_percent"]
        self.assertLess((high - low) / 2, 1.02)

    def test_seed_gives_the_order(self):
        orders = [self.numbers("echo 1", "echo 1", "--seed", seed)["sequence"] for seed in ("5", "5", "6")]
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])


class Controls(Comparison):
    def test_null_control(self):
        verdict = self.numbers("echo 100", "echo 103", "--null-control", "--pairs", "10", code=1)
        self.assertFalse(verdict["null_control"]["red"])
        self.assertEqual(verdict["null_control"]["benchmarks"][0]["verdict"], "equivalent")
        sequence = verdict["sequence"]
        self.assertEqual([sequence.count(letter) for letter in "ABab"], [10] * 4)
        # The same order again, and base is slower whenever it stands in for itself.
        base = self.says("base", *["104" if letter == "b" else "100" for letter in sequence if letter != "B"])
        verdict = self.numbers(base, "echo 103", "--null-control", "--pairs", "10", "--warmup", "0", code=3)
        self.assertEqual((verdict["status"], verdict["verdict"]), ("failed", None))
        self.assertTrue(verdict["null_control"]["red"])
        self.assertIn("null control is red", verdict["reason"])
        self.assertIsNone(self.row(verdict)["verdict"])

    def test_confirm(self):
        verdict = self.numbers("echo 100", "echo 103", "--confirm", code=1)
        self.assertTrue(verdict["confirmation"]["agrees"])
        self.assertTrue(self.row(verdict)["confirmed"])
        head = self.says("head", *["103"] * 8, *["100"] * 8)
        verdict = self.numbers("echo 100", head, "--confirm", "--pairs", "8", "--warmup", "0")
        self.assertFalse(verdict["confirmation"]["agrees"])
        self.assertEqual(self.row(verdict)["verdict"], "inconclusive")
        self.assertIs(self.row(verdict)["confirmed"], False)
        self.assertIsNone(self.numbers("echo 100", "echo 100", "--confirm")["confirmation"])

    def test_prepare_and_cleanup(self):
        self.numbers("cat there", "cat there", "--prepare", "sh -c 'echo 100 >there'", "--cleanup", "rm there",
                     "--pairs", "6")
        self.assertFalse(os.path.exists(self.path("there")))
        verdict = self.numbers("echo 1", "echo 1", "--prepare", "false", code=3)
        self.assertIn("--prepare: it ended with exit status 1", verdict["reason"])
        self.numbers("false", "echo 1", "--cleanup", "touch cleaned", code=3)
        self.assertTrue(os.path.exists(self.path("cleaned")))


class Readers(Comparison):
    def gbench(self, name, ns, unit="ns", **more):
        rows = [{"name": "BM_a", "run_type": "iteration", "real_time": ns, "cpu_time": ns, "time_unit": unit,
                 "iterations": 10, "items_per_second": 5, **more},
                {"name": "BM_a_mean", "run_type": "aggregate", "real_time": 7 * ns, "cpu_time": 1, "time_unit": unit},
                {"name": "BM_b", "run_type": "iteration", "real_time": 3, "cpu_time": 3, "time_unit": "us"}]
        self.write(name, json.dumps({"context": {}, "benchmarks": rows}))
        return "cat " + name

    def test_gbench(self):
        verdict = self.ab(self.gbench("a.json", 100), self.gbench("b.json", 0.103, "us"), "--read", "gbench", code=1)
        self.assertEqual([self.row(verdict, name)["verdict"] for name in ("BM_a", "BM_b")], ["regressed", "equivalent"])
        self.assertEqual(self.row(verdict, "BM_b")["base"], 3000)
        metrics = {(row["benchmark"], row["metric"]) for row in verdict["benchmarks"]}
        self.assertEqual(metrics, {("BM_a", "time"), ("BM_a", "cpu"), ("BM_a", "items_per_second"), ("BM_b", "time"),
                                   ("BM_b", "cpu")})
        verdict = self.ab(self.gbench("a.json", 100), self.gbench("b.json", 100, error_occurred=True,
                                                                  error_message="no luck"), "--read", "gbench", code=3)
        self.assertIn("no luck", verdict["reason"])

    def test_field(self):
        self.write("a.json", '{"results": [{"times": [1.5, 1.2], "mean": 100}]}')
        self.write("b.json", '{"results": [{"times": [1.6, 1.3], "mean": 103}]}')
        verdict = self.ab("cat a.json", "cat b.json", "--read", "field:results[0].mean", code=1)
        self.assertEqual(verdict["benchmarks"][0]["benchmark"], "results[0].mean")
        verdict = self.ab("cat a.json", "cat b.json", "--read", "field:results.0.times", "--metric", "s", code=1)
        self.assertEqual((verdict["benchmarks"][0]["base"], verdict["benchmarks"][0]["metric"]), (1.2, "s"))
        for path, reason in (("results[1].mean", "has no"), ("results", "no number"), ("result", "has no")):
            self.assertIn(reason, self.ab("cat a.json", "cat b.json", "--read", "field:" + path, code=3)["reason"])
        self.assertIn("no JSON", self.ab("echo {", "echo {", "--read", "field:a", code=3)["reason"])

    def test_report(self):
        self.prony("run", "-w", "empty", "-e", "serial", "--visits", "6", "--samples", "2",
                   "--counters", "none", "-q", "-o", "out")
        verdict = self.ab("cat out/report.json", "cat out/report.json", "--read", "prony", "--pairs", "8")
        self.assertEqual(verdict["verdict"], "equivalent")
        self.assertIn(("empty/serial/n1/compact", "rate"),
                      {(row["benchmark"], row["metric"]) for row in verdict["benchmarks"]})
        self.write("other.json", '{"schema": "prony.report/99"}')
        self.assertIn("prony.report/99", self.ab("cat other.json", "cat other.json", "--read", "prony", code=3)["reason"])

    def test_wall(self):
        verdict = self.ab("sleep 0.01", "sleep 0.01", "--pairs", "6", "--margin", "1000%")
        self.assertEqual(verdict["benchmarks"][0]["benchmark"], "sleep")
        self.assertEqual([row["metric"] for row in verdict["benchmarks"]][:2], ["time", "cpu"])
        self.assertEqual(verdict["benchmarks"][0]["unit"], "ns")


class BadInput(Comparison):
    def fails(self, base, head, *arguments, says):
        verdict = self.numbers(base, head, *arguments, code=3)
        self.assertEqual((verdict["status"], verdict["verdict"]), ("failed", None))
        self.assertIn(says, verdict["reason"])

    def test_what_commands_do_wrong(self):
        self.fails("echo 1", "sh -c 'echo because >&2; exit 7'", says='head: it ended with exit status 7: "because"')
        self.fails("echo 1", "sh -c 'kill -SEGV $$'", says="head: it was killed by SIGSEGV")
        self.fails("./nothing", "echo 1", says="base: ./nothing cannot be executed: it is not there")
        self.fails("sleep 1000", "sleep 1000", "--timeout", "100ms", says=": it was killed after 100 ms (--timeout)")
        self.fails("echo 1", "true", says="head: it printed no number")
        self.fails("echo 1", "echo hello", says='line 1 of its output is no number: "hello"')
        for value in ("nan", "inf", "-1", "0", "-inf"):
            self.fails("echo 1", "echo " + value, says="only a number above zero")
        self.fails("printf 'a 1\\nb 1\\n'", "echo 'a 1'", says="'b'")
        self.fails("echo 'a 1'", "printf 'a 1\\nb 1\\n'", says="'b'")
        self.fails("echo 1", self.says("head", *["1"] * 9, "oops"), says="no number")

    def test_too_few_pairs(self):
        self.fails("echo 1", "echo 1", "--pairs", "4", says="4 pairs cannot decide 1 benchmark: at least 6 are needed")
        self.fails("printf 'a 1\\nb 1\\n'", "printf 'a 1\\nb 1\\n'", "--pairs", "6", says="at least 7 are needed")
        self.fails("echo 1", "sh -c 'sleep 0.2; echo 1'", "--budget", "300ms", "--warmup", "0", says="--budget")

    def test_metric_that_is_not_there(self):
        self.assertIn("'speed'", self.ab("true", "true", "--metric", "speed", code=3)["reason"])

    def test_usage(self):
        two = ("ab", "--base", "true", "--head", "true")
        self.refused("ab", "--base", "true", says="--base CMD --head CMD")
        self.refused("ab", "--base", "a | b", "--head", "true", says="--base: '|' needs a shell")
        self.refused("ab", "--base", "true", "--head", "'a", says="--head: a ' is not closed")
        self.refused(*two, "--read", "walls", says="did you mean wall")
        self.refused(*two, "--reduce", "mean", says="best or median")
        self.refused(*two, "--margin-for", "a", says="GLOB=PCT")
        self.refused(*two, "--margin-for", "a=-1", says="--margin-for")
        self.refused(*two, "--pin", "99999", says="PU 99999")
        self.refused(*two, "--pin", "x", says="--pin x")
        self.refused(*two, "--out", "pdf", says="unknown format 'pdf'")
        self.refused(*two, "--pairs", "0", says="--pairs")

    def test_output_that_cannot_be_written(self):
        done = self.prony("ab", "--base", "true", "--head", "true", "--pairs", "6", "--out", "md:/nowhere/a.md", code=3)
        self.assertIn("/nowhere cannot be written", done.stderr)


class Outputs(Comparison):
    RED = ("ab", "--base", "printf 'a<b 100\\n|c| 100\\n'", "--head", "printf 'a<b 103\\n|c| 100\\n'", "--read", "numbers")

    def test_table(self):
        done = self.prony(*self.RED, code=1)
        self.assertIn("regressed: 1 of 2 benchmarks", done.stdout)
        self.assertIn("+3.00%", done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertIn("same command", self.prony("ab", "--base", "true", "--head", "true", "--pairs", "6",
                                                 "--margin", "900%").stderr)

    def test_formats(self):
        done = self.prony(*self.RED, "--out", "json:v.json", "--out", "md:v.md", "--out", "html:v.html",
                          "--out", "junit:v.xml", "--redact", code=1)
        self.assertIn("regressed", done.stdout)
        with open(self.path("v.json"), encoding="utf-8") as file:
            verdict = self.valid(json.load(file))
        self.assertIsNone(verdict["context"]["host"])
        suite = xml.etree.ElementTree.parse(self.path("v.xml")).getroot()[0]
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")), ("2", "1", "0"))
        self.assertEqual([case.get("name") for case in suite], ["a<b", "|c|"])
        with open(self.path("v.md"), encoding="utf-8") as file:
            self.assertIn("\\|c\\|", file.read())
        with open(self.path("v.html"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("a&lt;b", text)
        self.assertNotIn("a<b", text)
        self.assertTrue(self.prony(*self.RED, "--out", "md", code=1).stdout.startswith("**regressed"))

    def test_formats_for_trends(self):
        self.prony(*self.RED, "--out", "gab:v.gab", "--out", "bmf:v.bmf", code=1)
        with open(self.path("v.gab"), encoding="utf-8") as file:
            rows = json.load(file)
        self.assertEqual([row["name"] for row in rows], ["a<b", "|c|"])
        self.assertEqual({type(row["value"]) for row in rows}, {float})
        self.assertIn("regressed", rows[0]["extra"] + rows[1]["extra"])
        with open(self.path("v.bmf"), encoding="utf-8") as file:
            metrics = json.load(file)
        self.assertEqual({name: metric["latency"]["value"] for name, metric in metrics.items()},
                         {row["name"]: row["value"] for row in rows})

    def test_failure_in_junit(self):
        self.prony("ab", "--base", "true", "--head", "false", "--out", "junit:v.xml", code=3)
        suite = xml.etree.ElementTree.parse(self.path("v.xml")).getroot()[0]
        self.assertEqual((suite.get("failures"), suite.get("errors")), ("0", "1"))


class Interruption(Comparison):
    def start(self, head):
        self.write("slow", "#!/bin/sh\necho $$ >>pids\nsleep 0.05\necho 100\n")
        self.write("stuck", "#!/bin/sh\necho $$ >>pids\n[ $(wc -l <pids) -lt 6 ] || exec sleep 1000\necho 100\n")
        for name in ("slow", "stuck"):
            os.chmod(self.path(name), 0o755)
        process = subprocess.Popen([PRONY, "ab", "--base", "./slow", "--head", head, "--read", "numbers", "--pairs",
                                    "2000", "--out", "json:v.json"], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        for _ in range(2000):
            if len(self.pids()) >= 10 or head == "./stuck" and len(self.pids()) >= 6:
                return process
            time.sleep(0.05)
        self.fail("it does not run")

    def pids(self):
        if not os.path.exists(self.path("pids")):
            return []
        with open(self.path("pids"), encoding="utf-8") as file:
            return [int(line) for line in file]

    def assert_gone(self):
        for _ in range(1200):
            if not any(is_alive(pid) for pid in self.pids()):
                return
            time.sleep(0.05)
        self.fail("something is left over")

    def test_what_was_measured_is_kept(self):
        process = self.start("./slow")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        with open(self.path("v.json"), encoding="utf-8") as file:
            verdict = self.valid(json.load(file))
        self.assertEqual((verdict["status"], verdict["verdict"]), ("interrupted", None))
        self.assertGreaterEqual(self.row(verdict)["pairs"], 2)
        self.assert_gone()

    def test_a_killed_prony_leaves_nothing(self):
        process = self.start("./stuck")
        process.kill()
        process.communicate(timeout=60)
        self.assert_gone()


if __name__ == "__main__":
    unittest.main()
