"""Do the rules find what they are there to find? Each gets a small tree with one violation, and one without."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402


class Planted(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="prony-lint-")
        self.addCleanup(shutil.rmtree, self.tree)

    def write(self, path, text):
        path = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def one(self, findings, *words):
        """Exactly one finding, with these words in it."""
        self.assertEqual(len(findings), 1, findings)
        for word in words:
            self.assertIn(word, findings[0])

    def archive(self, name, **sources):
        """Compiles NAME=text each into lib/NAME.a, members named as CMake names them."""
        os.makedirs(os.path.join(self.tree, "lib"), exist_ok=True)
        objects = []
        for member, text in sources.items():
            objects.append(member + ".c.o")
            subprocess.run(["cc", "-c", "-x", "c", "-", "-o", objects[-1]], input=text, text=True, cwd=self.tree,
                           check=True)
        subprocess.run(["ar", "rcs", os.path.join("lib", name), *objects], cwd=self.tree, check=True)

    def test_include_upward(self):
        self.write("base/a.c", '#include "base/a.h"\n#include "runner/main.h"\n')
        self.one(rules.floors(self.tree), "base/a.c:2", "runner/main.h")

    def test_include_sideways(self):
        self.write("stats/a.c", '#include "base/text.h"\n#include <prony/error.h>\n#include "topology/topology.h"\n')
        self.one(rules.floors(self.tree), "stats/a.c:3")

    def test_include_with_brackets_is_seen(self):
        self.write("engines/a.c", "#include <measure/cell.h>\n")
        self.one(rules.floors(self.tree), "engines/a.c:1")

    def test_plugin_includes_plugin(self):
        self.write("engines/a.c", '#include "workloads/fib.h"\n')
        self.one(rules.floors(self.tree), "engines/a.c:1")
        self.write("engines/a.c", '#include "fork.c"\n')
        self.write("engines/fork.c", "\n")
        self.one(rules.floors(self.tree), "another's source")

    def test_include_downward_is_right(self):
        self.write("measure/a.c", '#include "counters/groups.h"\n')
        self.write("results/a.c", '#include "measure/cell.h"\n#include "stats/stats.h"\n#include <jansson.h>\n')
        self.write("engines/a.c", '#include "parallel/ring.h"\n/* #include "runner/main.h" */\n#include <runner.h>\n')
        self.assertEqual(rules.floors(self.tree), [])

    def test_foreign(self):
        for header, home in (("hwloc.h", "topology"), ("papi.h", "counters"), ("jansson.h", "results"),
                             ("gsl/gsl_cdf.h", "stats"), ("hwloc/linux.h", "topology"),
                             ("benchmark/benchmark.h", "shims/gbench")):
            with self.subTest(header):
                self.write("measure/a.c", f"#include <{header}>\n")
                self.one(rules.foreign_headers(self.tree), "measure/a.c:1", home)
                self.write("measure/a.c", "\n")
                self.write(f"{home}/b.c", f"#include <{header}>\n")
                self.assertEqual(rules.foreign_headers(self.tree), [])
        for header, home in (("omp.h", "openmp.c"), ("glib.h", "glib.c"), ("uv.h", "libuv.c"),
                             ("tbb/task_arena.h", "tbb.cpp")):
            self.write(f"engines/{home}", f"#include <{header}>\n")
            self.assertEqual(rules.foreign_headers(self.tree), [])
            self.write("engines/fork.c", f"#include <{header}>\n")
            self.one(rules.foreign_headers(self.tree), "engines/fork.c")
            self.write("engines/fork.c", "\n")

    def test_cpp(self):
        self.write("shims/gbench/a.cpp", "/* What it is. */\n")
        self.assertEqual(rules.cpp(self.tree), [])
        self.write("engines/a.cpp", "int x;\n")
        self.one(rules.cpp(self.tree), "engines/a.cpp")
        self.one(rules.header_comment(self.tree), "engines/a.cpp")

    def test_sizes(self):
        body = "int f(void)\n{\n%s    return 0;\n}\n"
        self.write("base/a.c", body % ("    g();\n" * (rules.FUNCTION_LINES - 3)))
        self.assertEqual(rules.sizes(self.tree), [])
        self.write("base/a.c", body % ("    g();\n" * (rules.FUNCTION_LINES - 2)))
        self.one(rules.sizes(self.tree), "base/a.c:2", "81 lines")
        self.write("base/a.c", "\n" * (rules.FILE_LINES + 1))
        self.one(rules.sizes(self.tree), "601 lines")

    def test_unfinished(self):
        self.write("docs/a.md", "one\n" + "TO" "DO: two\n")
        self.one(rules.unfinished(self.tree), "docs/a.md:2")
        self.write("build/a.md", "TO" "DO: generated files are not ours\n")
        self.write("docs/a.md", "mastodon\n")
        self.assertEqual(rules.unfinished(self.tree), [])

    def test_header_comment(self):
        self.write("base/a.c", "/* What it is. */\n")
        self.write("base/b.c", "int x;\n")
        self.one(rules.header_comment(self.tree), "base/b.c")
        self.write("base/b.h", "/* What b is. */\n")
        self.assertEqual(rules.header_comment(self.tree), [])

    def test_header_alone(self):
        self.write("include/prony/a.h", "#include <stdint.h>\nstruct prony_a { uint64_t b; };\n")
        self.write("base/a.h", "#include <prony/a.h>\nint prony_a(struct prony_a *a);\n")
        self.assertEqual(rules.public_headers_alone(self.tree) + rules.inner_headers_alone(self.tree), [])
        self.write("include/prony/b.h", "struct prony_b { uint64_t c; };\n")
        self.one(rules.public_headers_alone(self.tree), "include/prony/b.h", "uint64_t")
        self.write("base/b.h", "size_t prony_b(void);\n")
        self.one(rules.inner_headers_alone(self.tree), "base/b.h")

    @unittest.skipUnless(shutil.which("c++"), "c++ is not installed")
    def test_header_cpp(self):
        guard = '#ifdef __cplusplus\nextern "C" {\n#endif\n%s\n#ifdef __cplusplus\n}\n#endif\n'
        self.write("include/prony/a.h", guard % "int prony_a(int thing);")
        self.assertEqual(rules.public_headers_cpp(self.tree), [])
        self.write("include/prony/b.h", guard % "int prony_b(int class);")
        self.one(rules.public_headers_cpp(self.tree), "include/prony/b.h")

    def test_howto(self):
        self.write("docs/howto/a.c", "extern const int prony_engine; const int prony_engine = 1;\n")
        self.assertEqual(rules.howto_compiles(self.tree), [])
        self.write("docs/howto/a.c", "const int prony_engine = 1; int other;\n")
        self.one(rules.howto_compiles(self.tree), "docs/howto/a.c", "other")
        self.write("docs/howto/a.c", "const int prony_engine = nothing;\n")
        self.one(rules.howto_compiles(self.tree), "docs/howto/a.c", "nothing")

    def test_plugin_exports(self):
        self.write("engines/CMakeLists.txt", "prony_plugin(engine my-pool)\n# prony_plugin(engine other)\n")
        right = "const int prony_engine_my_pool = 1; static int x; int *y(void); static int *z(void) {return &x;}"
        self.archive("libprony_engines.a", **{"my-pool": right})
        self.assertEqual(rules.plugin_exports(self.tree, self.tree), [])
        self.archive("libprony_engines.a", **{"my-pool": right + "int prony_helper(void) {return 0;}"})
        self.one(rules.plugin_exports(self.tree, self.tree), "engines/my-pool.c", "prony_helper")
        self.archive("libprony_engines.a", **{"my-pool": right + "int state;"})
        self.one(rules.plugin_exports(self.tree, self.tree), "state")

    def test_declared(self):
        self.write("base/a.h", "int prony_base_a(void);\n/* prony_base_b() */\n")
        self.archive("libprony_base.a", a="int prony_base_a(void) {return 0;} static int c(void) {return 1;}")
        self.assertEqual(rules.declared(self.tree, self.tree), [])
        self.archive("libprony_base.a", a="int prony_base_b(void) {return 0;}")
        self.one(rules.declared(self.tree, self.tree), "prony_base_b", "static")
        self.archive("libprony_base.a", a="int other(void) {return 0;}")
        self.one(rules.declared(self.tree, self.tree), "begin with prony_")

    def test_gsl(self):
        call = "double gsl_cdf(double); double prony_x(double y) {return gsl_cdf(y);}"
        self.archive("libprony_stats.a", a=call)
        self.assertEqual(rules.gsl_stays_out(self.tree), [])
        self.archive("libprony.a", a=call)
        self.one(rules.gsl_stays_out(self.tree), "libprony.a", "gsl_cdf")

    def test_documents(self):
        self.write("engines/CMakeLists.txt", "prony_plugin(engine serial)\nprony_plugin(engine fork)\n")
        self.write("README.md", "`serial` [here](docs/a.md) [there](https://example.org) [anchor](#x)\n")
        self.one(rules.documented(self.tree), "fork")
        self.one(rules.links(self.tree), "docs/a.md")

    @unittest.skipUnless(shutil.which("clang-format-14"), "clang-format-14 is not installed")
    def test_formatting(self):
        self.write(".clang-format", "BasedOnStyle: LLVM\n")
        self.write("base/a.c", "int a;\n")
        self.write("base/b.c", "int  b ;\n")
        self.one(rules.formatting(self.tree), "base/b.c")

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_shell(self):
        self.write("scripts/a.sh", '#!/bin/sh\nset -eu\necho "$1"\n')
        self.assertEqual(rules.shell(self.tree), [])
        self.write("scripts/b.sh", "#!/bin/sh\nset -eu\nrm $1\n")
        self.one(rules.shell(self.tree), "scripts/b.sh")
        self.write("scripts/b.sh", '#!/bin/sh\necho "$1"\n')
        self.one(rules.shell(self.tree), "set -eu")


if __name__ == "__main__":
    unittest.main()
