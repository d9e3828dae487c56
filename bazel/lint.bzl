"""Tests of the sources themselves: types, style, and that no source is left out."""

load("@rules_python//python:defs.bzl", "py_test")

def _own_python(rules):
    """The Python files of this package that its targets name, sorted."""
    files = {}
    for rule in rules:
        for attribute in ["srcs", "data"]:
            for label in rule.get(attribute) or []:
                if label.startswith(":") and label.endswith(".py"):
                    files[label[1:]] = None
    return sorted(files)

def lint_sources(name):
    """Hands this package's sources to the checks: the last line of every BUILD file.

    A Python file that lies in the package but in no target above that line would be checked by nothing: if there is
    one, stray_NAME_test is there too, and fails.

    Args:
      name: python_NAME and build_NAME become the filegroups of the package's sources
    """
    sources = _own_python(native.existing_rules().values())
    native.filegroup(
        name = "python_" + name,
        srcs = sources,
        visibility = ["//:__pkg__"],
    )
    native.filegroup(
        name = "build_" + name,
        srcs = native.glob([
            "*.bzl",
            "BUILD.bazel",
            "MODULE.bazel",
            "WORKSPACE",
        ]),
        visibility = ["//:__pkg__"],
    )
    strays = [file for file in native.glob(["**/*.py"], allow_empty = True) if file not in sources]
    if strays:
        py_test(
            name = "stray_%s_test" % name,
            size = "small",
            srcs = ["//bazel/lint:stray_sources_main.py"],
            args = strays,
            main = "//bazel/lint:stray_sources_main.py",
        )

def mypy_test(name, srcs, deps, **kwargs):
    """Checks the types of srcs, a filegroup of Python files; deps are what they import."""
    py_test(
        name = name,
        srcs = ["//bazel/lint:mypy_main.py"],
        main = "//bazel/lint:mypy_main.py",
        args = ["$(rootpaths %s)" % srcs],
        data = [srcs, "//:pyproject.toml"],
        deps = deps + ["@pypi//mypy"],
        **kwargs
    )

def ruff_test(name, srcs, **kwargs):
    """Checks the style and the formatting of srcs, a filegroup of Python files."""
    py_test(
        name = name,
        srcs = ["//bazel/lint:ruff_main.py"],
        main = "//bazel/lint:ruff_main.py",
        args = ["$(rootpaths %s)" % srcs],
        data = [srcs, "//:pyproject.toml"],
        deps = ["//bazel/lint:programs"],
        **kwargs
    )

def buf_test(name, srcs, config, **kwargs):
    """Checks the style and the formatting of .proto files; config is the buf.yaml of the folder that they lie in."""
    py_test(
        name = name,
        srcs = ["//bazel/lint:buf_main.py"],
        main = "//bazel/lint:buf_main.py",
        args = ["$(rootpath %s)" % config],
        data = srcs + [config],
        deps = ["//bazel/lint:programs"],
        **kwargs
    )
