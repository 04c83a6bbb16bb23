"""Counters where something is missing: names, hardware, permission, valgrind, symbols, disk. Each time the user hears what
is missing and how to get it, and what can be measured is measured."""
import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import time
import unittest

from program import PRONY, ProgramTest

CELL = ("-w", "primes", "-e", "serial", "-n", "1", "--visits", "1", "--samples", "1", "-p", "items=1000")
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
LIBC = ctypes.CDLL(None, use_errno=True)


def forbid_perf(code):
    """What a container's policy does: from here on, in this process, perf_event_open fails with `code`."""
    class Rule(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("true", ctypes.c_ubyte), ("false", ctypes.c_ubyte), ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("rules", ctypes.POINTER(Rule))]

    rules = (Rule * 4)(Rule(0x20, 0, 0, 0), Rule(0x15, 0, 1, PERF_EVENT_OPEN), Rule(0x06, 0, 0, 0x50000 | code),
                       Rule(0x06, 0, 0, 0x7fff0000))
    program = Program(4, rules)

    def forbid():
        if LIBC.prctl(38, 1, 0, 0, 0) != 0 or LIBC.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
            os._exit(99)
    return forbid


def may_mount():
    return shutil.which("unshare") is not None and subprocess.run(["unshare", "-rm", "true"], capture_output=True,
                                                                  check=False).returncode == 0


class Counters(ProgramTest):
    def run_cell(self, counters, *options, denied=None, within=(), program=PRONY, code=0):
        """The report of a run of one small cell; `within`: words before the program's own."""
        command = [*within, program, "run", *CELL, "--counters", counters, *options, "--json", "-q", "-o", "out"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=400, check=False,
                              preexec_fn=forbid_perf(denied) if denied else None)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.said = done.stderr
        shutil.rmtree(self.path("out"), ignore_errors=True)
        return json.loads(done.stdout) if code == 0 else None

    def events(self, *arguments, **keywords):
        cell = self.run_cell(*arguments, **keywords)["cells"][-1]
        self.assertEqual(cell["status"], "ok")
        return cell["counters"]["workers"][0]["events"]

    def listed(self, name):
        entries = json.loads(self.prony("list", "counters", "--json").stdout)
        return next((entry for entry in entries if entry["name"] == name), {"available": False})


class Names(Counters):
    def test_unknown_names_have_nearest_ones(self):
        for spec, nearest in (("perf:instuctions", "instructions"), ("perf:L1-dcache-load-mises", "L1-dcache-load-misses"),
                              ("software:page-fault", "page-faults"), ("software:fault", "faults"), ("softwar", "software")):
            self.refused("run", *CELL, "--counters", spec, says=f"did you mean {nearest}")
        self.refused("run", *CELL, "--counters", "perf:nowhere/x/", says="no PMU 'nowhere'")

    def test_too_many_events(self):
        many = "+".join("r" + "0" * i + "8" for i in range(33))
        self.refused("run", *CELL, "--counters", "perf:" + many, says="at most 32", code=3)
        self.refused("exec", "--counters", "perf:" + many[:many.rindex("+")], "--", "true", says="at most 23", code=3)

    def test_a_group_this_cpu_lacks_is_null_and_the_rest_is_measured(self):
        for spec in ("papi:cache", "perf:basic"):
            if spec.startswith("papi") and "reason" not in self.listed("papi"):
                continue
            report = self.run_cell(spec)
            counters = report["cells"][0]["counters"]
            for name, event in counters["workers"][0]["events"].items():
                self.assertTrue((event["value"] is not None) or event["reason"], name)
            if all(event["value"] is None for event in counters["workers"][0]["events"].values()):
                self.assertEqual({metric["value"] for metric in counters["derived"].values()}, {None})

    def test_callgrind_without_valgrind(self):
        done = subprocess.run([PRONY, "run", *CELL, "--counters", "callgrind", "--json", "-o", "out"], cwd=self.folder,
                              capture_output=True, text=True, check=False, env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "not counted: instructions and 4 more: .*(install valgrind|sanitizer)")
        report = json.loads(done.stdout)
        self.assertEqual(report["cells"][0]["status"], "ok")
        self.assertTrue(any(note.startswith("not counted: instructions") for note in report["plan"]["notes"]))


@unittest.skipIf(PERF_EVENT_OPEN is None, "no filter for this CPU")
class Denied(Counters):
    def test_software_counts_by_other_means_and_names_them(self):
        for code in (1, 13):  # EPERM, EACCES
            events = self.events("software:task-clock+page-faults+switches+involuntary-switches+voluntary-switches+migrations"
                                 "+run-wait+process-memory-peak", denied=code)
            means = {"task-clock": "CLOCK_THREAD_CPUTIME_ID", "page-faults": "getrusage", "switches": "getrusage",
                     "migrations": "/proc", "run-wait": "/proc schedstat", "process-memory-peak": "getrusage (process)"}
            for name, event in events.items():
                if event["status"] != "counted":  # a kernel without these files
                    self.assertIn(name, ("migrations", "run-wait"))
                    self.assertIn("/proc", event["reason"])
                    continue
                self.assertEqual(event["source"], means.get(name, "getrusage"), name)
            self.assertGreater(events["task-clock"]["value"], 0)

    def test_hardware_events_are_denied_and_say_how_to_get_them(self):
        for code, name in ((1, "EPERM"), (13, "EACCES")):
            for event in self.events("perf:instructions+cycles+page-faults", denied=code).values():
                self.assertEqual((event["value"], event["status"]), (None, "denied"))
                self.assertIn(name, event["reason"])
                self.assertIn("CAP_PERFMON", event["reason"])

    def test_auto_takes_what_is_left(self):
        report = self.run_cell("auto", denied=1)
        self.assertEqual(report["cells"][0]["counters"]["provider"], "software")

    def test_a_program_is_measured_without(self):
        done = subprocess.run([PRONY, "exec", "--visits", "1", "--samples", "1", "--counters", "perf:instructions", "--json",
                               "--", "true"], cwd=self.folder, capture_output=True, text=True, check=False,
                              preexec_fn=forbid_perf(1))
        self.assertEqual(done.returncode, 0, done.stderr)
        events = json.loads(done.stdout)["cells"][0]["counters"]["workers"][0]["events"]
        self.assertEqual(events["instructions"]["status"], "denied")
        self.assertEqual(events["user-time"]["status"], "counted")

    @unittest.skipUnless(may_mount(), "no mount namespaces here")
    def test_the_level_of_paranoia_is_named(self):
        for level in (3, 4):
            file = self.write("level", f"{level}\n")
            script = f"mount --bind {file} /proc/sys/kernel/perf_event_paranoid || exit 77; exec \"$@\""
            within = ("unshare", "-rm", "sh", "-c", script, "sh")
            command = [*within, "true"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 77:
                self.skipTest("the file cannot be covered here")
            # The filter that denies is set before unshare, which it lets through.
            event = self.events("perf:instructions", denied=13, within=within)["instructions"]
            self.assertIn(f"perf_event_paranoid is {level}: set it to 2 or grant CAP_PERFMON", event["reason"])

    def test_a_profile_has_its_timeline(self):
        cell = self.run_cell("none", "--profile", denied=1)["cells"][-1]
        self.assertEqual(cell["status"], "ok")
        self.assertTrue(cell["profile"]["taken"])
        self.assertIn("perf_event_open", cell["profile"]["sampled"]["reason"])


class Family(Counters):
    def test_a_program_is_counted_with_its_children(self):
        """Their pages are known: 100 faults for each of three children."""
        source = self.write("family.c", """
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int pages = atoi(argv[argc - 1]);
    for (int child = 0; child < 3; child++)
        if (fork() == 0) {
            volatile char *bytes = mmap(0, 4096u * 1000, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            madvise((void *)bytes, 4096u * 1000, MADV_NOHUGEPAGE);
            for (int i = 0; i < pages; i++)
                bytes[i * 4096] = 1;
            _exit(0);
        }
    while (wait(0) > 0)
        ;
    return 0;
}
""")
        if shutil.which("cc") is None or os.sysconf("SC_PAGESIZE") != 4096:
            self.skipTest("no compiler, or other pages")
        subprocess.run(["cc", "-o", self.path("family"), source], check=True)
        faults = []
        for pages in (100, 900):
            report = json.loads(self.prony("exec", "--visits", "3", "--samples", "1", "--counters", "perf:page-faults",
                                           "--json", "--", self.path("family"), str(pages)).stdout)
            event = report["cells"][0]["counters"]["workers"][0]["events"]["page-faults"]
            if event["status"] == "denied":
                self.skipTest(event["reason"])
            self.assertEqual((event["status"], event["source"]), ("counted", "perf"))
            faults.append(event["value"] / event["samples"])
        self.assertAlmostEqual(faults[1] - faults[0], 3 * 800, delta=50)

    def test_who_cannot_count_from_outside(self):
        self.refused("exec", "--counters", "software", "--", "true", says="perf:EVENTS", code=3)


class Profiles(Counters):
    def test_stripped_programs_are_told(self):
        if shutil.which("strip") is None:
            self.skipTest("no strip")
        subprocess.run(["strip", "-o", self.path("stripped"), PRONY], check=True)
        done = subprocess.run([self.path("stripped"), "run", "-w", "primes", "-e", "serial", "-n", "1", "--visits", "1",
                               "--samples", "1", "--counters", "none", "--profile", "--json", "-o", "out"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        sampled = json.loads(done.stdout)["cells"][0]["profile"]["sampled"]
        if sampled["frames"] == 0:
            self.skipTest(sampled["reason"])
        self.assertIn("a stripped program", done.stderr)

    @unittest.skipUnless(may_mount(), "no mount namespaces here")
    def test_a_profile_that_does_not_fit_is_left_out(self):
        os.mkdir(self.path("disk"))
        for kib in (4600, 3400, 2400):  # a program that hardly gets the processor leaves few stacks, and they may all fit
            script = f"mount -t tmpfs -o size={kib}k none disk && \"$@\" >&2; code=$?; cat disk/out/report.json; exit $code"
            done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", PRONY, "run", "-e",
                                   "thread,fork,futures-thread", "-w", "fib", "-n", "2", "--visits", "1", "--samples", "1",
                                   "--counters", "none", "--profile", "-o", "disk/out"], cwd=self.folder,
                                  capture_output=True, text=True, timeout=400, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            cells = json.loads(done.stdout)["cells"]
            self.assertEqual({cell["status"] for cell in cells}, {"ok"})
            reasons = [cell["profile"]["files_reason"] for cell in cells]
            if any(reasons):
                break
        self.assertRegex(" ".join(filter(None, reasons)), "need .* and the disk of .* has")
        self.assertIn(None, reasons)

    def test_an_end_in_the_middle_keeps_what_there_is(self):
        for sizes in ("100", "100,101,102,103,104,105,106,107"):  # a run that is over when its files are seen is too short
            out = self.path("out" + sizes)
            running = subprocess.Popen([PRONY, "run", "-e", "thread,fork,futures-thread", "-w", "fib,spin", "-n", "2",
                                        "-p", f"spin.items={sizes}", "--visits", "1", "--samples", "1", "--counters",
                                        "none", "--profile", "-o", out], cwd=self.folder, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            deadline = time.monotonic() + 60
            files = os.path.join(out, "profile")
            while time.monotonic() < deadline and running.poll() is None and not (os.path.isdir(files) and os.listdir(files)):
                time.sleep(0.005)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=200)
            if running.returncode != 0:
                break
        self.assertEqual(running.returncode, 130, said)
        with open(os.path.join(out, "report.json"), encoding="utf-8") as file:
            cells = json.load(file)["cells"]
        self.assertTrue(all(cell["visits"] for cell in cells if cell["status"] == "ok"))
        untaken = [cell["profile"] for cell in cells if "profile" in cell and not cell["profile"]["taken"]]
        self.assertTrue(all(profile["reason"] for profile in untaken))
        self.assertTrue(untaken or any(cell["status"] == "interrupted" for cell in cells))


if __name__ == "__main__":
    unittest.main()
