"""Reports against the published schema; pages that need nothing but themselves; plots that can be drawn again."""
import copy
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import jsonschema

PRONY = os.environ["PRONY"]
SOURCE = pathlib.Path(os.environ["PRONY_SOURCE"])
BUILD = pathlib.Path(os.environ["PRONY_BUILD"])


def validator(name):
    schema = json.loads((SOURCE / "results/schema" / name).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


class Page(html.parser.HTMLParser):
    """Notes ids, and everything that the page would load from elsewhere."""

    def __init__(self):
        super().__init__()
        self.ids, self.loads, self.links, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if tag == "a" and name == "href":
                self.links.append(value)
            if name == "src" or (tag == "link" and name == "href"):
                self.loads.append(value)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.made = pathlib.Path(cls.holder.name, "made")
        cls.made.mkdir()
        subprocess.run([str(BUILD / "bin/unit_test_results_write")], check=True, capture_output=True, timeout=250,
                       env={**os.environ, "PRONY_KEEP": str(cls.made), "CMOCKA_TEST_FILTER": "writes_all"})
        cls.schema = validator("report.schema.json")
        cls.report = json.loads((cls.made / "report.json").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def wrong(self, report):
        return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in self.schema.iter_errors(report)]

    def test_a_made_report_is_valid(self):
        self.assertEqual(self.wrong(self.report), [])

    def test_a_measured_report_is_valid(self):
        out = pathlib.Path(self.holder.name, "measured")
        done = subprocess.run([PRONY, "run", "-e", "serial,fork", "-w", "square", "-n", "1", "--visits", "6", "--samples",
                               "2", "--redact", "-o", str(out)], capture_output=True, text=True,
                              timeout=400)
        self.assertIn(done.returncode, (0, 3), done.stderr)
        report = json.loads((out / "report.json").read_text())
        self.assertEqual(self.wrong(report), [])
        self.assertIsNone(report["context"]["host"])
        self.assertTrue((out / "topology.xml").is_file())
        check = subprocess.run([PRONY, "report", str(out), "--check"], capture_output=True, text=True, timeout=60)
        self.assertEqual(check.returncode, 0, check.stderr)

    def test_the_schema_refuses(self):
        def broken(change):
            report = copy.deepcopy(self.report)
            change(report)
            return self.wrong(report)

        ok = next(i for i, cell in enumerate(self.report["cells"]) if cell["status"] == "ok")
        failed = next(i for i, cell in enumerate(self.report["cells"]) if cell["status"] == "failed")
        self.assertTrue(broken(lambda r: r.update(schema="prony.report/2")))
        self.assertTrue(broken(lambda r: r.pop("context")))
        self.assertTrue(broken(lambda r: r["context"].update(environment={"HOME": "/root"})))
        self.assertTrue(broken(lambda r: r["cells"][ok].update(verified=0)))
        self.assertTrue(broken(lambda r: r["cells"][ok].update(visits=[])))
        self.assertTrue(broken(lambda r: r["cells"][ok].update(status="fine")))
        self.assertTrue(broken(lambda r: r["cells"][failed].update(reason=None)))
        self.assertTrue(broken(lambda r: r["cells"][ok]["visits"][0]["samples_ns"].append(1.5)))

    def test_the_page_needs_nothing_else(self):
        text = (self.made / "report.html").read_text()
        page = Page()
        page.feed(text)
        self.assertEqual(page.loads, [])
        self.assertEqual(len(page.ids), len(set(page.ids)), "an id twice")
        self.assertNotIn("@import", text)
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn("width=device-width", text)
        links = [link for link in page.links if not link.startswith("#")]
        self.assertIn("report.json", links)
        self.assertEqual([link for link in links if not (self.made / link).is_file()], [], "links that lead nowhere")
        if shutil.which("gnuplot"):
            self.assertEqual(page.tags.count("svg"), len(list(self.made.glob("plots/*.svg"))))

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_plots_are_drawn_again(self):
        scripts = sorted(self.made.glob("plots/*.gp"))
        self.assertEqual({script.name.split("-")[0] for script in scripts}, {"beside", "rate", "speedup", "latency",
                                                                             "counters"})
        for script in scripts:
            drawing = script.with_suffix(".svg")
            ElementTree.parse(drawing)
            self.assertIn("currentColor", drawing.read_text())
            self.assertNotIn('color="black"', drawing.read_text())
            drawing.unlink()
            done = subprocess.run(["gnuplot", "--default-settings", script.name], cwd=script.parent, capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""), script.name)
            ElementTree.parse(drawing)


class Suites(unittest.TestCase):
    def test_suites_are_valid(self):
        schema = validator("suite.schema.json")
        for path in sorted((SOURCE / "suites").glob("*.json")):
            wrong = [error.message for error in schema.iter_errors(json.loads(path.read_text()))]
            self.assertEqual(wrong, [], path.name)

    def test_the_schema_refuses(self):
        schema = validator("suite.schema.json")
        for suite in ({}, {"rows": []}, {"rows": [{"engines": ["fork"]}]}, {"rows": [{"workloads": ["primes"]}], "visit": 6}):
            self.assertFalse(schema.is_valid(suite), suite)


if __name__ == "__main__":
    unittest.main()
