"""The examples for structlog, context, exceptions and redaction print what they say, under every start method."""

import ast
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
KINDS = ("structlog", "context", "exceptions", "redaction")
NAMES = [path for kind in KINDS for path in sorted(EXAMPLES.glob(f"{kind}_*.py"))]

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="not run from a checkout")


@pytest.mark.parametrize("example", NAMES, ids=lambda path: path.stem)
def test_an_example_prints_what_its_docstring_says(example, program, start_method):
    """The indented lines of the docstring are the output."""
    text = ast.get_docstring(ast.parse(example.read_text()), clean=False)
    promised = [line[4:].rstrip() for line in text.splitlines() if line.startswith("    ")]
    done = program(example, start_method)
    assert [line.rstrip() for line in done.out.splitlines()] == promised
    assert done.err == ""
