"""Find errors of syntax in the files of a guest, long before the interpreter in the
component would: `check_syntax.py FILE…` prints the first and ends with 3.

Python that runs this may be older than the guest's. Then only an error counts that is
one in every version."""

import re
import sys
import traceback

# What the guest runs on.
GUEST = (3, 14)
# What later versions have changed: code in strings (PEP 701, 750), type parameters and
# aliases (PEP 695), `except` without parentheses (PEP 758), `match` (PEP 634), groups of
# exceptions (PEP 654), `*` in an index and before an annotation (PEP 646), asynchronous
# comprehensions in others.
NEWER = re.compile(
    r"""\b(?:[ft]r?|r[ft])['"]"""
    r"""|^\s*(?:type\s+\w|match\b|case\b|except\b[^:]*[*,]|(?:async\s+)?(?:def|class)\s+\w+\s*\[)"""
    r"""|\[(?:[^\]]*,)?\s*\*|^\s*\*\w|\*\w+\s*:\s*\*|\basync\s+for\b""",
    re.IGNORECASE,
)


def counts(error: SyntaxError, source: str) -> bool:
    if sys.version_info >= GUEST or isinstance(error, IndentationError):
        return True
    # Python 3.9 knows no end.
    lines = source.splitlines()[: getattr(error, "end_lineno", None) or error.lineno]
    return not any(NEWER.search(line) for line in lines)


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        source = file.read()
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        if counts(error, source.decode("utf-8", "replace")):
            sys.stderr.write("".join(traceback.format_exception_only(type(error), error)))
            sys.exit(3)
    except ValueError:
        # Not text; the build says so.
        pass
