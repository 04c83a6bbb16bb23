"""prony-gbench and the example of the C interface to Google Benchmark: what they list, report and refuse."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

BIN = os.path.join(os.environ["PRONY_BUILD"], "bin")
PRONY = os.environ["PRONY"]
SUFFIX = "/process_time/real_time"


def run(program, *arguments, code=0, timeout=300):
    done = subprocess.run([os.path.join(BIN, program), *arguments], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != code:
        raise AssertionError(f"{program} {' '.join(arguments)} ended with {done.returncode}, not {code}:\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


def report(program, *arguments, code=0):
    """Context, and rows by name."""
    found = json.loads(run(program, "--benchmark_format=json", *arguments, code=code).stdout)
    return found["context"], {row["name"]: row for row in found["benchmarks"]}


def listed(*kinds):
    """Available plug-ins of these kinds by name."""
    done = subprocess.run([PRONY, "list", *kinds, "--json"], capture_output=True, text=True, timeout=60, check=True)
    return [item["name"] for item in json.loads(done.stdout) if item["available"]]


class List(unittest.TestCase):
    def test_every_plugin_is_there(self):
        names = run("prony-gbench", "--benchmark_list_tests").stdout.splitlines()
        self.assertEqual(len(names), len(set(names)))
        for workload in listed("workloads"):
            self.assertTrue(any(name.startswith(f"kernel/{workload}/") for name in names), workload)
        for engine in listed("engines"):
            for verb in ("submit", "map"):
                self.assertIn(f"{verb}/{engine}/workers:1{SUFFIX}", names)
        for channel in listed("channels"):
            for size in (64, 65536):
                self.assertIn(f"channel/{channel}/size:{size}{SUFFIX}", names)

    def test_what_forks_comes_before_what_leaves_threads(self):
        names = run("prony-gbench", "--benchmark_list_tests").stdout.splitlines()
        forking = max(i for i, name in enumerate(names) if re.match(r"(submit|map)/(fork|[a-z-]*process(es)?)/", name))
        owning = [i for i, name in enumerate(names) if re.match(r"(submit|map)/(openmp|tbb|libuv|glib)", name)]
        self.assertTrue(all(forking < i for i in owning))

    def test_workers(self):
        names = run("prony-gbench", "--benchmark_list_tests", "--prony_workers=3").stdout
        self.assertIn(f"submit/thread/workers:3{SUFFIX}", names)
        self.assertNotIn("submit/serial/workers:3", names)


class Report(unittest.TestCase):
    def test_kernel(self):
        context, rows = report("prony-gbench", "--benchmark_filter=^kernel/(spin|square)/", "--benchmark_min_time=0.001",
                               "--prony_counters=software:task-clock+page-faults", "--prony_param=spin.steps=1000",
                               "--prony_param=spin.items=50", "--prony_param=square.items=10k")
        for key in ("prony_version", "prony_topology", "prony_build_type", "library_build_type", "prony_provider",
                    "prony_counters", "prony_placement"):
            self.assertTrue(context[key], key)
        self.assertEqual(context["prony_provider"], "software")
        self.assertEqual(set(rows), {f"kernel/{name}/serial{SUFFIX}" for name in ("spin", "square")})
        spin = rows[f"kernel/spin/serial{SUFFIX}"]
        self.assertEqual(spin["label"], "50 x task")
        self.assertGreater(spin["task-clock"], 0)
        self.assertGreaterEqual(spin["page-faults"], 0)
        # an iteration is a repetition of 50 items, by the library's clock
        self.assertAlmostEqual(spin["items_per_second"] * spin["real_time"] * 1e-9, 50, delta=0.1)

    def test_engines_of_every_kind(self):
        _, rows = report("prony-gbench", "--benchmark_filter=^(submit|map)/(null|serial|fork|thread|futures-thread)/workers:1",
                         "--benchmark_min_time=0.001", "--prony_counters=none", "--prony_param=square.items=1000")
        self.assertEqual(len(rows), 10)
        for name, row in rows.items():
            self.assertNotIn("error_occurred", row, name)
            self.assertGreater(row["items_per_second"], 0)
            self.assertNotIn("task-clock", row)

    def test_channel(self):
        code = 0 if len(os.sched_getaffinity(0)) > 1 else 3
        _, rows = report("prony-gbench", "--benchmark_filter=^channel/pipe/", "--benchmark_min_time=0.001",
                         "--prony_counters=none", code=code)
        for size in (64, 65536):
            row = rows[f"channel/pipe/size:{size}{SUFFIX}"]
            if code:
                self.assertIn("more workers", row["error_message"])
                continue
            ratio = row["bytes_per_second"] / row["items_per_second"]
            self.assertAlmostEqual(ratio, 2 * size, delta=1)

    def test_library_flags_pass(self):
        with tempfile.TemporaryDirectory(prefix="prony-gbench-") as folder:
            path = os.path.join(folder, "out.json")
            _, rows = report("prony-gbench", "--benchmark_filter=^submit/serial", "--benchmark_repetitions=3",
                             "--benchmark_report_aggregates_only=true", "--benchmark_min_time=0.001",
                             f"--benchmark_out={path}", "--benchmark_out_format=json", "--benchmark_context=who=me")
            with open(path, encoding="utf-8") as text:
                written = json.load(text)
        self.assertEqual(written["context"]["who"], "me")
        self.assertEqual({row["aggregate_name"] for row in rows.values()}, {"mean", "median", "stddev", "cv"})

    def test_hardware_counters_or_the_reason(self):
        done = run("prony-gbench", "--benchmark_filter=^kernel/square/", "--benchmark_min_time=0.001",
                   "--benchmark_format=json", "--prony_counters=papi:PAPI_TOT_INS")
        row = json.loads(done.stdout)["benchmarks"][0]
        if "PAPI_TOT_INS" in row:
            self.assertGreater(row["PAPI_TOT_INS"], 1e6)
        else:
            self.assertRegex(done.stderr, r"PAPI_TOT_INS is not counted: \S+")


class Refusals(unittest.TestCase):
    def test_usage(self):
        for arguments, says in ((("--no_such_flag",), "no_such_flag"),
                                (("--prony_param=spin",), "PLUGIN.KEY=VALUE"),
                                (("--prony_param=nobody.items=1",), "nobody"),
                                (("--prony_param=spin.itens=1",), "itens"),
                                (("--prony_param=spin.items=0",), "1000000"),
                                (("--prony_workers=0",), "1 to 4096"),
                                (("--prony_counters=nobody",), "nobody"),
                                (("--benchmark_filter=nothing-has-this-name",), "nothing-has-this-name")):
            with self.subTest(arguments):
                self.assertIn(says, run("prony-gbench", *arguments, code=2).stderr)

    def test_help(self):
        said = run("prony-gbench", "--help").stdout
        for flag in ("--prony_counters", "--prony_workers", "--prony_param", "--benchmark_filter", "--benchmark_out"):
            self.assertIn(flag, said)

    def test_more_workers_than_pus(self):
        _, rows = report("prony-gbench", "--benchmark_filter=^submit/thread/workers:4096", "--prony_workers=4096",
                         "--prony_counters=none", code=3)
        (row,) = rows.values()
        self.assertTrue(row["error_occurred"])
        self.assertIn("4096", row["error_message"])


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context, cls.rows = report("gbench_example", "--benchmark_min_time=0.001")

    def row(self, name):
        self.assertIn(name, self.rows)
        return self.rows[name]

    def test_context(self):
        self.assertEqual(self.context["written_in"], "C11")
        self.assertEqual(self.context["library_build"], self.context["library_build_type"])

    def test_arguments(self):
        for size in (64, 256, 1024, 4096, 100, 200, 300, 5):
            self.assertGreater(self.row(f"copy/bytes:{size}")["bytes_per_second"], 0)
        for rows, columns in ((1, 2), (1, 4), (3, 2), (3, 4), (7, 11), (8, 2)):
            self.assertEqual(self.row(f"grid/rows:{rows}/columns:{columns}")["cells"], rows * columns)

    def test_counters(self):
        row = self.row("grid/rows:3/columns:4")
        self.assertEqual(row["average"], 5)
        self.assertEqual(row["every"], 3 * row["iterations"])
        self.assertEqual(row["kibi"], 2048)
        self.assertAlmostEqual(row["cell_rate"] * row["ns_a_cell"] * 1e-9, 1, delta=1e-9)

    def test_complexity(self):
        self.assertEqual(self.row("sum/class_BigO")["big_o"], "N")
        self.assertEqual(self.row("sum/function_BigO")["big_o"], "f(N)")
        self.assertGreater(self.row("sort_BigO")["cpu_coefficient"], 0)

    def test_label_and_unit(self):
        row = self.row("sort/512")
        self.assertEqual(row["label"], "qsort of 512")
        self.assertEqual(row["time_unit"], "us")

    def test_threads(self):
        for threads in (1, 2, 3, 4, 6):
            row = self.row(f"add/real_time/threads:{threads}")
            self.assertNotIn("error_occurred", row)
            self.assertEqual((row["threads"], row["hands"], row["first"]), (threads, threads, 1))

    def test_clocks(self):
        self.assertAlmostEqual(self.row("model/iterations:100/manual_time")["real_time"], 2000, delta=1e-6)
        row = self.row("handed_on/min_time:0.001/min_warmup_time:0.001/process_time/real_time")
        self.assertEqual(row["iterations_due"], row["iterations"])

    def test_repetitions(self):
        names = {name for name in self.rows if name.startswith("repeated/")}
        self.assertEqual(names, {f"repeated/repeats:3_{name}" for name in ("mean", "median", "stddev", "cv", "greatest")})

    def test_error(self):
        row = self.row("impossible")
        self.assertTrue(row["error_occurred"])
        self.assertEqual(row["error_message"], "there is no abacus here")

    def test_own_main(self):
        self.assertIn("Google Benchmark in plain C", run("gbench_example", "--help").stdout)
        run("gbench_example", "--no_such_flag", code=2)
        run("gbench_example", "--benchmark_filter=nothing-has-this-name", code=2)


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BIN, "prony-gbench")):
        print("prony-gbench was left out of this build: Google Benchmark (libbenchmark-dev) or g++ was missing")
        sys.exit(77)
    unittest.main()
