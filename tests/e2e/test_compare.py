"""prony compare, run --baseline, doctor, exports, imports and the history: known reports, known answers."""
import copy
import importlib.util
import json
import os
import subprocess
import unittest
import xml.etree.ElementTree as xml

import jsonschema

from program import SOURCE, ProgramTest
from stored import cell, report

COMPARE_PY = "/usr/share/benchmark/compare.py"
FIXTURES = os.path.join(SOURCE, "tests", "fixtures")


def schema_of(made):
    """The published schema that a result names."""
    name = {"prony.compare/1": "compare", "prony.rank/1": "rank"}[made["schema"]]
    with open(os.path.join(SOURCE, "results", "schema", f"{name}.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


class Stored(ProgramTest):
    def valid(self, made):
        """What it was given, when its schema allows it."""
        wrong = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in schema_of(made).iter_errors(made)]
        self.assertEqual(wrong, [])
        return made

    def store(self, name, made):
        return self.write(name, made if isinstance(made, str) else json.dumps(made))

    def pair(self, before, after, *arguments, code=0):
        self.store("a.json", before)
        self.store("b.json", after)
        return self.prony("compare", "a.json", "b.json", *arguments, code=code)

    def verdict(self, before, after, *arguments, code=0):
        return self.valid(json.loads(self.pair(before, after, "--json", *arguments, code=code).stdout))


class Compares(Stored):
    def test_a_known_ratio_and_its_interval(self):
        found = self.verdict(report(cell("x", 1000000)), report(cell("x", 1200000)), code=1)
        judged = found["cells"][0]
        self.assertEqual(judged["verdict"], "regressed")
        self.assertAlmostEqual(judged["ratio"], 1.2, places=6)
        self.assertFalse(found["paired"])
        low, high = judged["ratio_ci95"]  # ranks 1 and 2 of nine: 0.9960938 x 0.9609375
        self.assertAlmostEqual(judged["coverage"], 0.99609375 * 0.9609375, places=9)
        self.assertTrue(1.18 < low < 1.2 < high < 1.22, (low, high))

    def test_verdicts_and_exit_codes(self):
        base = report(cell("x", 1000000))
        for ns, verdict, code in ((1000000, "equivalent", 0), (1100000, "regressed", 1), (900000, "improved", 0),
                                  (1050000, "inconclusive", 0)):
            found = self.verdict(base, report(cell("x", ns, seed=2)), code=code)
            self.assertEqual(found["cells"][0]["verdict"], verdict, ns)
        self.verdict(base, report(cell("x", 1050000, seed=2)), "--require-power", code=4)
        self.verdict(base, report(cell("x", 1100000)), "--margin", "20%", code=0)

    def test_too_few_visits_are_no_verdict(self):
        found = self.verdict(report(cell("x", 1000000, visits=6)), report(cell("x", 2000000, visits=6)))
        self.assertEqual(found["cells"][0]["verdict"], "inconclusive")
        self.assertIn("6 and 7", found["cells"][0]["reason"])
        self.assertIsNone(found["cells"][0]["ratio_ci95"])

    def test_launches_are_the_unit_when_there_are_six(self):
        before, after = (report(cell("x", 1000000, visits=24, launches=8)) for _ in range(2))
        judged = self.verdict(before, after)["cells"][0]
        self.assertEqual((judged["over"], judged["a"]["values"]), ("launches", 8))

    def test_different_machines(self):
        before, after = report(cell("x", 1000000)), report(cell("x", 1000000), host="two")
        self.assertIn("different machines (host", self.pair(before, after, code=3).stderr)
        found = self.verdict(before, after, "--different-machines")
        self.assertFalse(found["same_machine"])
        container = {"machine": "none", "container": "docker"}  # names are drawn there
        self.pair(before, report(cell("x", 1000000), host="two", virtualisation=container))

    def test_what_differs_is_said(self):
        after = report(cell("x", 1000000), kernel={"system": "Linux", "release": "6.18", "machine": "x86_64"},
                       clocks={"governor": "powersave"})
        after["plan"]["counters"]["provider"] = "papi"
        after["tool"]["version"] = "0.2.0"
        found = {d["what"]: (d["a"], d["b"]) for d in self.verdict(report(cell("x", 1000000)), after)["differences"]}
        self.assertEqual(found, {"kernel.release": ("6.1", "6.18"), "clocks.governor": ("performance", "powersave"),
                                 "plan.counters.provider": ("none", "papi"), "tool.version": ("0.1.0", "0.2.0")})

    def test_cells_that_cannot_be_compared(self):
        failed = dict(cell("y", 1000000), status="failed", reason="wrong answer")
        before = report(cell("x", 1000000), cell("y", 1000000), cell("z", 1000000))
        found = self.verdict(before, report(cell("x", 1000000), failed, cell("w", 1)), code=3)
        self.assertEqual(found["cells"][1]["verdict"], "uncompared")
        self.assertIn("wrong answer", found["cells"][1]["reason"])
        self.assertEqual((found["only_a"], found["only_b"]), (["z"], ["w"]))
        self.verdict(report(cell("x", 1000000), cell("y", 1000000)), report(cell("x", 2000000), failed), code=1)
        other = dict(cell("x", 1000000), items=7)
        self.assertIn("not the same work", self.pair(report(cell("x", 1000000)), report(other), code=3).stderr)

    def test_bad_reports_give_no_verdict(self):
        good = report(cell("x", 1000000))
        for value in ("0", "-5", "1.5", "null", "\"9\""):
            text = json.dumps(good)
            bad = text.replace("\"samples_ns\": [", f"\"samples_ns\": [{value}, ", 1)
            done = self.pair(good, bad, code=3)
            self.assertIn("is not a positive whole number of ns", done.stderr)
            self.assertEqual(done.stdout, "")
        for value in ("NaN", "Infinity", "1e999"):
            bad = json.dumps(good).replace("\"samples_ns\": [", f"\"samples_ns\": [{value}, ", 1)
            self.assertIn("not valid JSON", self.pair(good, bad, code=3).stderr)
        self.assertIn("prony.report/9", self.pair(good, dict(good, schema="prony.report/9"), code=3).stderr)
        self.assertIn("has no cells", self.pair(good, report(), code=3).stderr)
        self.assertIn("no cell in common", self.pair(good, report(cell("y", 1)), code=3).stderr)
        self.assertIn("cannot open", self.prony("compare", "a.json", "nowhere", code=3).stderr)
        self.refused("compare", says="which reports?")
        self.refused("compare", "a.json", "b.json", "--out", "jsno", says="did you mean json?")

    def test_forms(self):
        before, after = report(cell("x<&|", 1000000)), report(cell("x<&|", 1200000))
        self.pair(before, after, "--out", "junit:v.xml", "--out", "md:v.md", "--out", "html:v.html", code=1)
        suite = xml.parse(self.path("v.xml")).getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("1", "1"))
        self.assertIn("regressed: +20%", suite.find("testcase").find("failure").get("message"))
        self.assertEqual(suite.find("testcase").get("name"), "x<&|")
        with open(self.path("v.html"), encoding="utf-8") as page:
            text = page.read()
        self.assertNotIn("x<&|", text)
        self.assertNotIn("http", text)

    def test_ranking_in_groups(self):
        made = report(cell("a", 1000000, engine="fork"), cell("b", 1001000, engine="thread"),
                      cell("c", 2000000, engine="serial"))
        self.store("a.json", made)
        groups = self.valid(self.json("compare", "a.json", "--json"))["workloads"][0]["groups"]
        self.assertEqual([sorted(r["engine"] for r in g) for g in groups], [["fork", "thread"], ["serial"]])
        self.assertIn("1= ", self.prony("compare", "a.json").stdout)
        self.store("none.json", report(dict(cell("a", 1), status="failed", reason="no")))
        self.prony("compare", "none.json", code=3)

    def test_the_schemas_refuse(self):
        self.store("a.json", report(cell("x", 1000000), cell("y", 1000000)))
        failed = dict(cell("y", 1000000), status="failed", reason="wrong answer")
        self.store("b.json", report(cell("x", 1000000), failed))
        compared = self.valid(json.loads(self.prony("compare", "a.json", "b.json", "--json", code=3).stdout))
        ranked = self.valid(self.json("compare", "a.json", "--json"))

        def refused(made, change):
            broken = copy.deepcopy(made)
            change(broken)
            self.assertFalse(schema_of(made).is_valid(broken), broken)

        refused(compared, lambda m: m.update(schema="prony.compare/2"))
        refused(compared, lambda m: m.update(paired=True))
        refused(compared, lambda m: m.pop("differences"))
        refused(compared, lambda m: m["cells"][0].update(verdict="slower"))
        refused(compared, lambda m: m["cells"][0].update(ratio=None))
        refused(compared, lambda m: m["cells"][0].update(ratio_ci95=[1]))
        refused(compared, lambda m: m["cells"][0]["a"].pop("left_out"))
        refused(compared, lambda m: m["cells"][1].update(ratio=1.0))
        refused(compared, lambda m: m["cells"][1].update(reason=None))
        refused(ranked, lambda m: m.update(workloads=[]))
        refused(ranked, lambda m: m["workloads"][0]["groups"].append([]))
        refused(ranked, lambda m: m["workloads"][0]["groups"][0][0].update(workers=0))
        refused(ranked, lambda m: m["workloads"][0]["groups"][0][0].update(rank=1))


class Baseline(Stored):
    RUN = ("run", "-w", "square", "-e", "serial", "-n", "1", "--visits", "7", "--samples", "1", "--counters", "none",
           "-p", "square.items=1k")

    def test_a_run_against_a_baseline(self):
        self.prony(*self.RUN, "-o", "first")
        with open(self.path("first", "report.json"), encoding="utf-8") as file:
            first = json.load(file)
        self.assertEqual(len(first["context"]["doctor"]), 17)
        with open(self.path("first", "report.html"), encoding="utf-8") as page:
            self.assertIn("What disturbs this machine", page.read())
        for factor, code in ((1000, 1), (0.001, 0)):  # as if it had been far faster, far slower
            before = copy.deepcopy(first)
            for visit in before["cells"][0]["visits"]:
                visit["samples_ns"] = [max(1, round(t / factor)) for t in visit["samples_ns"]]
            self.store("before.json", before)
            out = f"second{code}"
            done = self.prony(*self.RUN, "-o", out, "--baseline", "before.json", code=code)
            self.assertIn("Compared with before.json", done.stdout)
            with open(self.path(out, "comparison.json"), encoding="utf-8") as file:
                self.assertEqual(len(self.valid(json.load(file))["cells"]), 1)
        ranked = self.valid(self.json("compare", "first", "--json"))["workloads"]
        self.assertEqual(ranked[0]["groups"][0][0]["id"], first["cells"][0]["id"])

    def test_a_bad_baseline_stops_before_measuring(self):
        self.store("other.json", report(cell("x", 1)))
        done = self.prony(*self.RUN, "-o", "out", "--baseline", "other.json", code=3)
        self.assertIn("another machine", done.stderr)
        self.assertFalse(os.path.exists(self.path("out")))
        self.prony(*self.RUN, "-o", "out", "--baseline", "nowhere.json", code=3)


class Doctor(ProgramTest):
    def look(self, name):
        found = self.json("doctor", "--json", "--root", os.path.join(FIXTURES, "doctor", name))
        return {finding["name"]: finding for finding in found}

    def test_a_noisy_machine(self):
        found = self.look("noisy")
        self.assertEqual({name for name, finding in found.items() if finding["severity"] == "warn"},
                         {"governor", "numa-balancing", "quota", "steal", "load", "thermal", "swap", "clocksource"})
        self.assertEqual({name for name, finding in found.items() if finding["severity"] == "ok"}, set())
        self.assertIn("powersave on 4 of 4", found["governor"]["state"])
        self.assertIn("cpupower", found["governor"]["remedy"])
        self.assertIn("1.5 CPUs", found["quota"]["state"])
        self.assertIn("18 times", found["thermal"]["state"])
        self.assertIn("10.00%", found["steal"]["state"])
        self.assertIn("no_turbo", found["turbo"]["remedy"])

    def test_a_quiet_machine(self):
        found = self.look("quiet")
        self.assertEqual({finding["severity"] for finding in found.values()}, {"ok"}, found)
        self.assertTrue(all(finding["remedy"] is None for finding in found.values()))

    def test_what_cannot_be_read_is_said(self):
        found = {finding["name"]: finding for finding in self.json("doctor", "--json", "--root", self.folder)}
        unread = [finding for finding in found.values() if "cannot be told" in finding["state"]]
        self.assertGreaterEqual(len(unread), 14)
        self.assertTrue(all(finding["severity"] == "note" for finding in unread))
        self.refused("doctor", "--root", "nowhere", says="cannot be read")
        self.assertIn("ok", self.prony("doctor").stdout)


class Exports(Stored):
    def setUp(self):
        super().setUp()
        failed = dict(cell("bad\"<", 1), status="failed", reason="wrong <answer>", stats={}, visits=[])
        skipped = dict(cell("off", 1), status="skipped", reason="no SMT", stats={}, visits=[])
        self.store("r.json", report(cell("x", 1000000), failed, skipped))

    def export(self, form):
        return self.prony("report", "r.json", "--out", form).stdout

    def test_junit(self):
        suite = xml.fromstring(self.export("junit").encode()).find("testsuite")
        self.assertEqual([suite.get(k) for k in ("tests", "failures", "errors", "skipped")], ["3", "1", "0", "1"])
        cases = {case.get("name"): case for case in suite}
        self.assertEqual(cases["bad\"<"].find("failure").get("message"), "wrong <answer>")
        self.assertEqual(float(cases["x"].get("time")), 0.001)

    def test_github_action_benchmark(self):
        for form, unit, value in (("gab", "ns", 1000000), ("gab-bigger", "numbers/s", 1e6)):
            rows = json.loads(self.export(form))
            self.assertEqual([(r["name"], r["unit"], r["value"]) for r in rows], [("x", unit, value)])
            self.assertTrue(set(rows[0]) <= {"name", "unit", "value", "range", "extra"})

    def test_bencher(self):
        measures = json.loads(self.export("bmf"))["x"]
        self.assertEqual(set(measures), {"latency", "throughput"})
        for measure in measures.values():
            self.assertTrue(measure["lower_value"] < measure["value"] < measure["upper_value"])

    def test_google_benchmark(self):
        made = json.loads(self.export("gbench"))
        rows = [row for row in made["benchmarks"] if row["name"] == "x"]
        self.assertEqual([row["repetition_index"] for row in rows], list(range(9)))
        self.assertTrue(all(row["run_type"] == "iteration" and row["time_unit"] == "ns" for row in rows))
        self.assertTrue(made["benchmarks"][-1]["error_occurred"])
        self.assertTrue({"date", "host_name", "num_cpus", "caches", "library_build_type"} <= set(made["context"]))
        self.store("again.json", made)
        again = self.json("report", "again.json", "--out", "json")["cells"][0]
        self.assertEqual(again["stats"]["median"], 1000000)

    @unittest.skipUnless(os.path.exists(COMPARE_PY) and importlib.util.find_spec("scipy"),
                         "no compare.py (Debian: libbenchmark-tools, python3-scipy)")
    def test_compare_py_reads_it(self):
        self.write("a", self.export("gbench"))
        self.store("slow.json", report(cell("x", 2000000)))
        self.write("b", self.prony("report", "slow.json", "--out", "gbench").stdout)
        done = subprocess.run(["/usr/bin/python3", COMPARE_PY, "--no-color", "benchmarks", self.path("a"),
                               self.path("b")], capture_output=True, text=True, timeout=60, check=True)
        self.assertRegex(done.stdout, r"x_pvalue +0\.000\d .*U Test, Repetitions: 9 vs 9")
        self.assertIn("+1.0000", done.stdout)

    def test_openmetrics(self):
        lines = self.export("openmetrics").splitlines()
        self.assertEqual(lines[-1], "# EOF")
        samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        at = 'prony_time_seconds{cell="x",engine="thread",workload="primes",channel="",workers="1"}'
        self.assertEqual(float(samples[at]), 0.001)
        self.assertIn('cell="bad\\"<"', "\n".join(lines))
        families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        self.assertEqual(len(families), len(set(families)))


class Imports(Stored):
    def read(self, name):
        made = self.json("report", os.path.join(FIXTURES, "imports", name), "--out", "json")
        self.prony("report", os.path.join(FIXTURES, "imports", name), "--check")
        return made, {c["id"]: c for c in made["cells"]}

    def original(self, name):
        with open(os.path.join(FIXTURES, "imports", name), encoding="utf-8") as file:
            return json.load(file)

    def test_google_benchmark(self):
        made, cells = self.read("gbench.json")
        times = sorted(row["real_time"] for row in self.original("gbench.json")["benchmarks"]
                       if row["name"] == "copy/64" and row["run_type"] == "iteration")
        self.assertAlmostEqual(cells["copy/64/gbench/n1"]["stats"]["median"], times[3], places=4)
        self.assertEqual(len(cells["copy/64/gbench/n1"]["visits"]), 7)
        self.assertEqual(cells["copy/64/gbench/n1"]["counters"]["derived"]["PAPI_TOT_INS"]["value"], 12.5)
        self.assertEqual(cells["fails/gbench/n1"]["status"], "failed")
        self.assertEqual(cells["fails/gbench/n1"]["reason"], "no such device")
        self.assertEqual(cells["nothing/real_time/threads:2/gbench/n2"]["workers"], 2)
        self.assertEqual(made["context"]["imported"]["library_build_type"], "debug")
        self.assertIn("debug build", " ".join(made["plan"]["notes"]))

    def test_google_benchmark_s_nan_is_no_number(self):
        original = self.original("gbench.json")
        for row in original["benchmarks"]:
            row["a \"NaN\" counter"] = float("nan")
            row["less"] = float("-inf")
        text = json.dumps(original)
        self.assertIn("NaN", text)
        self.write("nan.json", text)
        self.assertIn("copy/64", self.prony("report", "nan.json", "--out", "csv").stdout)
        original["benchmarks"][0]["real_time"] = float("nan")
        self.write("nan.json", json.dumps(original))
        self.prony("report", "nan.json", code=2)

    def test_hyperfine(self):
        made, cells = self.read("hyperfine.json")
        first = self.original("hyperfine.json")["results"][0]
        self.assertAlmostEqual(cells["seq 1/hyperfine/n1"]["stats"]["median"] / 1e9, first["median"], places=8)
        self.assertEqual(cells["seq 1/hyperfine/n1"]["launches"], len(first["times"]))
        self.assertEqual(made["context"]["imported"]["format"], "hyperfine")
        _, cells = self.read("hyperfine-fail.json")
        self.assertIn("3 of 3 runs", cells["false/hyperfine/n1"]["reason"])

    def test_fio(self):
        _, cells = self.read("fio.json")
        job = self.original("fio.json")["jobs"][0]["read"]
        read = cells["seq read/fio/n1"]
        self.assertAlmostEqual(read["stats"]["rate"], job["iops"], delta=1)
        self.assertEqual(read["latency"]["p50"], job["clat_ns"]["percentile"]["50.000000"])
        self.assertIsNone(read["latency"]["p99"])  # 29 operations tell nothing of it
        self.assertIsNone(read["stats"]["ci95"])

    def test_imports_can_be_compared(self):
        path = os.path.join(FIXTURES, "imports", "gbench.json")
        found = json.loads(self.prony("compare", path, path, "--json", code=3).stdout)  # one benchmark has failed
        self.assertEqual(self.valid(found)["cells"][0]["ratio"], 1)
        ranked = self.valid(self.json("compare", os.path.join(FIXTURES, "imports", "hyperfine.json"), "--json"))
        self.assertGreater(len(ranked["workloads"]), 0)

    def test_malformed(self):
        for text, says in (
                ('{"results": [\n {"command": "a",\n  "times": [0.1, -2]}]}', "r.json:3:18: a time is not a positive"),
                ('{"results": [\n {"times": [0.1]}]}', "r.json:2:2: a result without a \"command\""),
                ('{"results": {}}', "r.json:1:2: \"results\" is not a list"),
                ('{"benchmarks": [{"name": "a", "real_time": 0, "time_unit": "ns"}]}', "a time is not a positive"),
                ('{"benchmarks": [{"name": "a", "real_time": 1, "time_unit": "h"}]}', "\"time_unit\" is not"),
                ('{"fio version": "fio-3", "jobs": [\n{"error": 0}]}', "r.json:2:1: a job without"),
                ('{"benchmarks": [', "r.json:1:16: not valid JSON")):
            self.store("r.json", text)
            self.refused("report", "r.json", says=says)
        for text in ('{"benchmarks": []}', '{"results": []}', '{"benchmarks": [{"name": "a", "run_type": "aggregate"}]}'):
            self.store("r.json", text)
            self.prony("report", "r.json", code=3)


class History(Stored):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("runs"))
        for day, ns in enumerate((1000000, 1001000, 1300000, 1301000, 900000)):
            os.mkdir(self.path("runs", str(day)))
            self.store(f"runs/{day}/report.json",
                       report(cell("x", ns, seed=day), cell("y<b>", 5000, seed=day), started_s=1000 + day))
        os.symlink("4", self.path("runs", "latest"))
        self.store("runs/zero.json", json.dumps(report(cell("x", 1000))).replace("\"samples_ns\": [", "\"samples_ns\": [0, "))
        self.store("runs/other.json", json.dumps({"schema": "prony.report/9"}))

    def test_changes_are_found_where_they_are(self):
        found = self.json("report", "runs", "--out", "json")
        self.assertEqual(len(found["reports"]), 5)
        series = {s["id"]: s for s in found["cells"]}
        self.assertEqual([(c["report"], c["from"], c["verdict"]) for c in series["x"]["changes"]],
                         [(2, 0, "regressed"), (4, 2, "improved")])
        self.assertEqual(series["y<b>"]["changes"], [])
        self.assertEqual(len(found["left_out"]), 2)

    def test_the_page(self):
        done = self.prony("report", "runs")
        self.assertIn("regressed", done.stdout)
        self.assertIn("left out", done.stdout)
        with open(self.path("runs", "history.html"), encoding="utf-8") as page:
            text = page.read()
        self.assertEqual(text.count("<svg"), 2)
        self.assertNotIn("y<b>", text)
        self.assertNotIn("http", text)

    def test_nothing_to_show(self):
        os.mkdir(self.path("empty"))
        self.prony("report", "empty", code=3)
        self.refused("report", "runs", "--check", says="holds many reports")
        self.refused("report", "runs", "--out", "csv", says="html or json")


if __name__ == "__main__":
    unittest.main()
