"""An interpreter installed on this machine, as a repository and a registered toolchain."""

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "py3_runtime",
    files = ["python3"],
    interpreter = "python3",
    python_version = "PY3",
    stub_shebang = "#!{path} -sSE",
)

py_runtime_pair(
    name = "py_runtime_pair",
    py3_runtime = ":py3_runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":py_runtime_pair",
    toolchain_type = "@rules_python//python:toolchain_type",
)
"""

# -S leaves out the machine's own site-packages, -P the directory of the script: programs get what their BUILD files
# name. The version is part of the file, so that what another patch release made is not taken from a cache.
_PYTHON3 = """\
#!/bin/sh
# Python {version}
exec {path} -sSP "$@"
"""

# pip is the one part of the machine's site-packages that is used, and to fetch alone.
_PIP_PYTHON = """\
#!/bin/sh
# Python {version}
exec {path} -I "$@"
"""

_PROBE = """\
import importlib.util, sys
print(sys.executable, "%d.%d.%d" % sys.version_info[:3], importlib.util.find_spec("pip") is not None, sep="\\n")
"""

_NONE = """no fitting Python here: one of {versions} is needed.
  looked for: {names}
{found}  way out: install one (Debian, Ubuntu: apt-get install python3 python3-pip), or name one: {env}=/path/to/python3
"""

def _probe(ctx, name):
    """What the command of this name is: a struct of path and version, or a string that says why it won't do."""
    command = ctx.path(name) if name.startswith("/") else ctx.which(name)
    if not command:
        return "not found"

    # A pyenv shim leads to the interpreter behind it, or to none.
    probe = ctx.execute([command, "-I", "-c", _PROBE])
    if probe.return_code:
        return "%s does not run" % command
    path, version, pip = probe.stdout.split("\n")[:3]
    if version.rpartition(".")[0] not in ctx.attr.python_versions:
        return "%s is Python %s" % (path, version)
    if pip != "True":
        return "%s has no pip, which fetches the locked wheels" % path
    return struct(path = path, version = version)

def _local_runtime_repo_impl(ctx):
    named = ctx.os.environ.get(ctx.attr.interpreter_env)
    names = [named] if named else ["python" + version for version in ctx.attr.python_versions] + ["python3"]
    python = None
    found = ""
    for name in names:
        answer = _probe(ctx, name)
        if type(answer) == type(""):
            found += "  %s: %s\n" % (name, answer)
        else:
            python = answer
            break
    if not python:
        fail(_NONE.format(
            env = ctx.attr.interpreter_env,
            found = found,
            names = ", ".join(names),
            versions = ", ".join(ctx.attr.python_versions),
        ))

    ctx.file("python3", _PYTHON3.format(path = python.path, version = python.version))
    ctx.file("pip_python", _PIP_PYTHON.format(path = python.path, version = python.version))
    ctx.file("BUILD.bazel", _BUILD.format(path = python.path))

local_runtime_repo = repository_rule(
    implementation = _local_runtime_repo_impl,
    attrs = {
        "interpreter_env": attr.string(
            mandatory = True,
            doc = "Environment variable that may name the interpreter: a command on PATH or an absolute path.",
        ),
        "python_versions": attr.string_list(
            mandatory = True,
            doc = "MAJOR.MINOR of those that fit, the first found on PATH being taken.",
        ),
    },
    configure = True,
    # The rest decides what a pyenv shim leads to.
    environ = ["JOBWORKER_PYTHON", "PATH", "PYENV_VERSION"],
    local = True,
)
