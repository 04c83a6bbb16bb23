"""Does the tree keep the rules of the house?"""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402

TREE = os.environ.get("PRONY_SOURCE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("PRONY_BUILD") or os.path.join(TREE, "build", "dev")


class House(unittest.TestCase):
    def check_rule(self, rule, *where, tool=None):
        if tool and not shutil.which(tool):
            self.skipTest(f"{tool} is not installed")
        findings = rule(*where)
        self.assertFalse(findings, "\n" + rule.__doc__ + "\n  " + "\n  ".join(findings))

    def test_floors(self):
        self.check_rule(rules.floors, TREE)

    def test_foreign_headers(self):
        self.check_rule(rules.foreign_headers, TREE)

    def test_cpp(self):
        self.check_rule(rules.cpp, TREE)

    def test_sizes(self):
        self.check_rule(rules.sizes, TREE)

    def test_unfinished(self):
        self.check_rule(rules.unfinished, TREE)

    def test_header_comment(self):
        self.check_rule(rules.header_comment, TREE)

    def test_public_headers_alone(self):
        self.check_rule(rules.public_headers_alone, TREE)

    def test_inner_headers_alone(self):
        self.check_rule(rules.inner_headers_alone, TREE)

    def test_public_headers_cpp(self):
        self.check_rule(rules.public_headers_cpp, TREE, tool="c++")

    def test_howto_compiles(self):
        self.check_rule(rules.howto_compiles, TREE)

    def test_plugin_exports(self):
        self.check_rule(rules.plugin_exports, TREE, BUILD)

    def test_declared(self):
        self.check_rule(rules.declared, TREE, BUILD)

    def test_gsl_stays_out(self):
        self.check_rule(rules.gsl_stays_out, BUILD)

    def test_documented(self):
        self.check_rule(rules.documented, TREE)

    def test_links(self):
        self.check_rule(rules.links, TREE)

    def test_formatting(self):
        self.check_rule(rules.formatting, TREE, tool="clang-format-14")

    def test_shell(self):
        self.check_rule(rules.shell, TREE, tool="shellcheck")


if __name__ == "__main__":
    unittest.main()
