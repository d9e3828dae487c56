"""py_test targets whose files hold pytest tests."""

load("@rules_python//python:defs.bzl", "py_test")

_MAIN = "//bazel/pytest:pytest_main.py"

def pytest_test(name, srcs, size, timeout, args = [], data = [], deps = [], env = {}, sandbox = True, tags = [], **kwargs):
    """Runs pytest over those of srcs that are named *_test.py.

    Args:
      name: the target's name
      srcs: test files, and the conftest.py and helper files that they use
      size: what the test takes of the machine: "small", "medium", "large" or "enormous"
      timeout: how long it may take: "short" (1 minute), "moderate" (5), "long" (15) or "eternal" (60)
      args: further arguments for pytest
      data: as for py_test
      deps: as for py_test; pytest itself comes along
      env: as for py_test
      sandbox: False for a test that needs of the machine what the sandbox withholds: writable cgroups, other users
      tags: as for py_test; "cpu:2" for one that wants both cores, "exclusive" for one that must run alone
      **kwargs: as for py_test
    """
    py_test(
        name = name,
        size = size,
        timeout = timeout,
        srcs = srcs + [_MAIN],
        main = _MAIN,
        args = ["$(rootpath %s)" % src for src in srcs if src.endswith("_test.py")] + args,
        data = data + ["//:pyproject.toml"],
        # pytest shows whole assertions, and hypothesis repeats its cases and sets no deadlines.
        env = dict(env, CI = "true"),
        tags = tags + ([] if sandbox else ["no-sandbox"]),
        deps = deps + ["@pypi//pytest", "@pypi//pytest_asyncio"],
        **kwargs
    )
