"""The command line without measuring: help, mistakes, plans, lists, topologies."""
import json
import os
import subprocess
import unittest

from program import PRONY, SOURCE, ProgramTest

COMMANDS = ["run", "list", "topo", "report"]
EIGHT = "synthetic:pack:2 [numa] core:2 pu:2"


class Help(ProgramTest):
    def test_names_every_command(self):
        shown = self.prony("--help").stdout
        for command in COMMANDS:
            self.assertRegex(shown, rf"(?m)^  {command} ")
        self.assertRegex(self.prony("--version").stdout, r"^prony \d+\.\d+\.\d+\n$")

    def test_of_a_command_teaches_within_80_columns(self):
        for command in COMMANDS:
            shown = self.prony(command, "--help").stdout
            self.assertEqual(shown, self.prony(command, "-h").stdout)
            self.assertTrue(shown.startswith(f"Usage: prony {command}"), shown)
            self.assertGreaterEqual(shown.count(f"\n  prony {command}"), 3, "three examples or more")
            self.assertLessEqual(max(map(len, shown.splitlines())), 80, command)

    def test_without_a_command_is_usage(self):
        done = self.prony(code=2)
        self.assertIn("Usage: prony COMMAND", done.stderr)
        self.assertEqual(done.stdout, "")


class Mistakes(ProgramTest):
    def test_unknown_things_offer_the_nearest(self):
        self.refused("rnu", says="did you mean run")
        self.refused("run", "--vists", "3", says="did you mean visits?")
        self.refused("run", "-w", "prims", "--dry-run", says="did you mean primes?")
        self.refused("run", "-w", "primes", "-e", "tread", "--dry-run", says="did you mean thread")
        self.refused("run", "-w", "pingpong", "-c", "pip", "--dry-run", says="did you mean pipe")
        self.refused("run", "-w", "primes", "-p", "primes.itmes=3", "--dry-run", says="did you mean items?")
        self.refused("run", "-w", "primes", "--place", "spraed", "--dry-run", says="spread")
        self.refused("run", "-w", "primes", "-e", "@cores", "--dry-run", says="@core")
        self.refused("run", "quik", says="did you mean quick?")
        self.refused("run", "primes", says="prony run -w primes")
        self.refused("run", "thread", says="prony run quick -e thread")
        self.refused("list", "engins", says="did you mean engines?")
        self.refused("topo", "--place", "comapct", says="compact")

    def test_ranges_are_said(self):
        self.refused("run", "--visits", "0", says="1 to 100000")
        self.refused("run", "--visits", "many", says="not a number")
        self.refused("run", "--precision", "-1", says="0 to 1000")
        self.refused("run", "--budget", "10", says="unit of time")
        self.refused("run", "-w", "primes", "-n", "0", "--dry-run", says="1 to 4096")
        self.refused("run", "-w", "primes", "-n", "4..2", "--dry-run", says="empty")
        self.refused("run", "-w", "primes", "-p", "items=0", "--dry-run", says="it takes 1 to")
        self.refused("run", "-w", "primes", "-e", "thread", "-n", "9", "--topology", EIGHT, "--dry-run", "-q", says="8")
        self.refused("topo", "-n", "0", says="1 to 4096")

    def test_arguments_are_complete_and_not_too_many(self):
        self.refused("run", "-e", says="--engines needs LIST")
        self.refused("run", "--visits", says="--visits needs N")
        self.refused("run", "--dry-run=yes", says="--dry-run takes no value")
        self.refused("run", "-Z", says="there is no option -Z")
        self.refused("run", "quick", "engines", says="one argument too many")
        self.refused("run", "-w", "primes,,fib", "--dry-run", says="empty item")
        self.refused("report", says="which report?")

    def test_a_pu_outside_the_cpuset(self):
        self.refused("run", "-w", "primes", "-e", "thread", "-n", "1", "--place", "list:4000", "--dry-run", says="4000")

    def test_plans_for_other_machines_do_not_measure(self):
        self.refused("run", "-w", "primes", "--topology", EIGHT, says="--dry-run")
        self.refused("topo", "--topology", "synthetic:nonsense", says="nonsense")
        self.refused("topo", "--topology", "/none/such.xml", says="/none/such.xml")

    def test_globs_that_leave_nothing(self):
        self.refused("run", "-w", "primes", "--only", "nothing*", "--dry-run", says="--only")


class Suites(ProgramTest):
    def test_every_suite_makes_a_plan(self):
        names = [entry["name"] for entry in self.json("list", "suites", "--json")]
        self.assertEqual(sorted(names), ["engines", "ipc", "ipc-full", "matrix", "quick", "roofline", "scaling", "sync",
                                         "tutorial"])
        for name in names:
            plan = self.json("run", name, "--dry-run", "--json", "-q")
            self.assertEqual(plan["suite"], name)
            self.assertTrue(any(cell["status"] == "pending" for cell in plan["cells"]), name)
            shipped = self.json("run", os.path.join(SOURCE, "suites", name + ".json"), "--dry-run", "--json", "-q")
            self.assertEqual(plan, shipped)

    def test_every_suite_keeps_to_the_published_schema(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("no python3-jsonschema")
        with open(os.path.join(SOURCE, "results", "schema", "suite.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)
        for name in os.listdir(os.path.join(SOURCE, "suites")):
            with open(os.path.join(SOURCE, "suites", name), encoding="utf-8") as file:
                jsonschema.validate(json.load(file), schema)

    def test_a_malformed_one_is_located(self):
        suite = self.write("bad.json", '{\n  "suite": "bad",\n  "rows": [\n    {"workloads": ["primes",]}\n  ]\n}\n')
        done = self.prony("run", suite, code=2)
        self.assertRegex(done.stderr, r"bad\.json(:|, line )4")
        suite = self.write("key.json", '{"suite": "key", "rows": [{"worklods": ["primes"]}]}\n')
        self.refused("run", suite, says="workloads")
        self.refused("run", "none.json", says="none.json")

    def test_the_command_line_replaces_lists_and_adds_parameters(self):
        suite = self.write("mine.json", '{"suite": "mine", "summary": "", "visits": 7, "rows": [{"engines": '
                           '["thread"], "workloads": ["primes"], "workers": ["1"], "params": ["items=100"]}]}\n')
        plan = self.json("run", suite, "--dry-run", "--json", "-q", "--topology", EIGHT)
        self.assertEqual([cell["id"] for cell in plan["cells"]],
                         ["primes/thread/n1/compact/items=100", "primes/serial/n1/compact/items=100"])
        self.assertEqual(plan["method"]["visits"], 7)
        plan = self.json("run", suite, "-n", "2,4", "-p", "items=5", "--visits", "8", "--dry-run", "--json", "-q",
                         "--topology", EIGHT)
        self.assertEqual([cell["id"] for cell in plan["cells"] if not cell["baseline"]],
                         ["primes/thread/n2/compact/items=5", "primes/thread/n4/compact/items=5"])
        self.assertEqual(plan["method"]["visits"], 8)


class Plans(ProgramTest):
    def test_json_says_where_workers_would_sit(self):
        plan = self.json("run", "-w", "primes", "-e", "thread", "-n", "1..max*2", "--place", "spread", "-p",
                         "chunk=1,8", "--topology", EIGHT, "--dry-run", "--json", "-q", "--seed", "7")
        self.assertEqual(plan["suite"], "custom")
        self.assertEqual(plan["method"]["seed"], 7)
        self.assertGreater(plan["least_ns"], 0)
        cells = {cell["id"]: cell for cell in plan["cells"]}
        self.assertEqual(len(cells), 9)
        self.assertEqual(sum(cell["baseline"] for cell in cells.values()), 1)
        cell = cells["primes/thread/n2/spread/chunk=8"]
        self.assertEqual(cell["placement"], {"policy": "spread", "pus": [0, 4], "oversubscribed": False})
        self.assertEqual(cell["params"]["cell"], {"chunk": "8", "repeats": "0"})
        self.assertEqual((cell["engine"], cell["workload"], cell["workers"], cell["status"]),
                         ("thread", "primes", 2, "pending"))

    def test_what_cannot_run_is_skipped_with_its_reason(self):
        plan = self.json("run", "-w", "pingpong", "-e", "thread", "-n", "1,2", "--topology", EIGHT, "--dry-run",
                         "--json", "-q")
        one, two = plan["cells"]
        self.assertEqual((one["status"], one["reason"]), ("skipped", "needs 2 workers"))
        self.assertEqual((two["status"], two["reason"], two["channel"]), ("pending", None, "pipe"))

    def test_text_is_a_line_a_cell(self):
        shown = self.prony("run", "-w", "primes", "-e", "thread", "-n", "2", "--topology", EIGHT, "--dry-run").stdout
        self.assertEqual(shown.splitlines()[0].split(), ["primes/thread/n2/compact", "PU", "0,1"])
        self.assertIn("(baseline)", shown.splitlines()[1])

    def test_ten_thousand_cells_are_planned(self):
        plan = self.json("run", "-w", "primes", "-e", "thread,fork", "-n", "1..8", "-p", "items=1..625", "--topology",
                         EIGHT, "--dry-run", "--json", "-q")
        self.assertEqual(len({cell["id"] for cell in plan["cells"]}), 2 * 8 * 625 + 625)

    def test_a_dry_run_leaves_nothing(self):
        self.prony("run", "-w", "primes", "--dry-run", "-o", "out")
        self.assertEqual(os.listdir(self.folder), [])


class Lists(ProgramTest):
    def test_json_has_the_promised_shape(self):
        everything = self.json("list", "--json")
        kinds = {entry["kind"] for entry in everything}
        self.assertEqual(kinds, {"engine", "workload", "channel", "counter", "suite"})
        for entry in everything:
            self.assertEqual(set(entry), {"kind", "name", "summary", "available", "reason", "options"})
            self.assertIsInstance(entry["available"], bool)
            if not entry["available"]:
                self.assertTrue(entry["reason"], entry)
        names = {(entry["kind"], entry["name"]) for entry in everything}
        for name in ["null", "serial", "thread", "fork", "futures-thread", "futures-process"]:
            self.assertIn(("engine", name), names)

    def test_a_stdout_that_is_full_is_said(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PRONY, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertIn("stdout cannot be written", done.stderr)

    def test_one_kind_shows_its_options(self):
        shown = self.prony("list", "workloads").stdout
        self.assertIn("items=", shown)
        self.assertIn("(1 to ", shown)
        self.assertIn("chunk=0", shown)
        self.assertNotIn("engines\n", shown)
        self.assertEqual(shown, self.prony("list", "workload").stdout)
        self.assertIn("workloads\n", self.prony("list").stdout)


class Topologies(ProgramTest):
    def test_a_synthetic_machine_is_shown_and_placed(self):
        shown = self.prony("topo", "--topology", EIGHT, "--place", "core", "-n", "4").stdout
        for worker in range(4):
            self.assertIn(f"worker {worker}", shown)
        self.assertIn("8 of 8 PUs", shown)
        self.assertIn("plans only", shown)
        placed = self.json("topo", "--topology", EIGHT, "--place", "core", "-n", "4", "--json")
        self.assertEqual([worker["pu"] for worker in placed["placement"]["workers"]], [0, 2, 4, 6])

    def test_this_machine_is_shown(self):
        self.assertIn("PU 0", self.prony("topo").stdout)

    def test_a_drawing(self):
        self.prony("topo", "--topology", EIGHT, "-n", "2", "-o", "tree.svg")
        with open(self.path("tree.svg"), encoding="utf-8") as file:
            self.assertIn("<svg", file.read(200))
        self.refused("topo", "-o", "/none/tree.svg", says="/none/tree.svg", code=3)


if __name__ == "__main__":
    unittest.main()
