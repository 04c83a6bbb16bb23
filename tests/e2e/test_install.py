"""What `cmake --install` lays out is whole: the program runs from there, the library is found by pkg-config, the manual page
and the completion know every option."""
import os
import re
import subprocess
import tempfile
import unittest

from program import SOURCE

BUILD = os.environ["PRONY_BUILD"]


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, **more).stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.prefix = os.path.join(cls.folder.name, "a prefix")
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)

    def path(self, *names):
        return os.path.join(self.prefix, *names)

    def text(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()

    def options(self):
        """The long options of every command, by its help."""
        commands = re.findall(r"^  (\w+) +\S", run(self.path("bin", "prony"), "--help"), re.MULTILINE)
        self.assertIn("run", commands)
        return {command: re.findall(r"^  (?:-\w, |    )(--[\w-]+)", run(self.path("bin", "prony"), command, "--help"),
                                    re.MULTILINE) for command in commands}

    def test_the_program_finds_its_kernels(self):
        done = subprocess.run([self.path("bin", "prony"), "run", "-e", "thread,python-threads", "-w", "square", "-n", "1",
                               "--visits", "1", "--samples", "1", "--counters", "none", "-q", "-o", "out"],
                              cwd=self.folder.name, capture_output=True, text=True, timeout=120, check=False)
        self.assertIn(done.returncode, (0, 3))  # 3: CPython cannot be used here
        self.assertNotIn("libprony_image", done.stderr)

    def test_the_manual_page_knows_every_option(self):
        page = self.text("share", "man", "man1", "prony.1").replace("\\-", "-")
        for command, options in self.options().items():
            part = page.split(f".SS prony {command}\n")[1].split("\n.SS prony ")[0]
            for option in options:
                if option != "--help":
                    self.assertIn(f"\\fB{option}\\fR", part, command)
        self.assertIn(".SH EXIT STATUS", page)

    def completed(self, *words):
        """What bash would offer for the last of the words."""
        script = (f". '{self.path('share', 'bash-completion', 'completions', 'prony')}'\ncompopt() {{ :; }}\n"
                  "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _prony; printf '%s\\n' \"${COMPREPLY[@]}\"\n")
        return run("bash", "-c", script, "bash", *words).split()

    def test_completion(self):
        for command, options in self.options().items():
            self.assertIn(command, self.completed("prony", ""))
            self.assertEqual(self.completed("prony", command, "--"), options)
        self.assertEqual(self.completed("prony", "run", "-e", "thread,futures-t"), ["thread,futures-thread"])
        self.assertEqual(self.completed("prony", "run", "--channels", "=", "shm"), ["shm-ring"])
        self.assertEqual(self.completed("prony", "run", "ipc"), ["ipc-full", "ipc"])
        self.assertEqual(self.completed("prony", "list", "ch"), ["channels"])
        self.assertEqual(self.completed("prony", "report", "x"), [])  # bash then offers files

    def test_the_library_by_pkg_config(self):
        with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
            cache = file.read()
        if re.search(r"^PRONY_SANITIZE:\w+=.", cache, re.MULTILINE) or "PRONY_COVERAGE:BOOL=ON" in cache:
            self.skipTest("an instrumented library needs the flags of its build")
        compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.+)$", cache, re.MULTILINE).group(1)
        found = os.path.join(self.folder.name, "found")
        os.rename(self.prefix, found)  # it may be moved, and pkg-config names no path with a space well
        self.addCleanup(os.rename, found, self.prefix)
        flags = run("pkg-config", "--cflags", "--libs", "--static", "prony",
                    env={**os.environ, "PKG_CONFIG_PATH": os.path.join(found, "lib", "pkgconfig")}).split()
        program = os.path.join(self.folder.name, "squares")
        run(compiler, os.path.join(SOURCE, "examples", "squares.c"), *flags, "-o", program)
        self.assertEqual(run(program), "1 4 9 16 25\n")


if __name__ == "__main__":
    unittest.main()
