"""pip_parse: one external repository for each package of a hash-locked requirements file."""

_HUB_BUILD = """\
load("@rules_python//python/private:hub.bzl", "package_aliases")

package_aliases(
    name = "{name}",
    repo = "{repo}",
)
"""

_HUB_REQUIREMENTS = """\
load("@rules_python//python:pip.bzl", "whl_library")

_PACKAGES = {packages}
_COMMON = {common}

def requirement(name):
    return "@{hub}//" + name.replace("-", "_").replace(".", "_").lower()

def install_deps():
    for name, lines in _PACKAGES.items():
        whl_library(
            name = "{hub}_" + name,
            hub = "{hub}",
            packages = sorted(_PACKAGES.keys()),
            requirements = lines,
            **_COMMON
        )
"""

def _normalize(name):
    return name.replace("-", "_").replace(".", "_").lower()

def _parse_lock(text):
    """The lock's lines by package; several where versions differ by marker, of which pip takes the one that holds."""
    packages = {}
    for entry in text.replace("\\\n", " ").split("\n"):
        entry = entry.partition(" #")[0].strip()
        if not entry or entry.startswith("#"):
            continue
        if "==" not in entry or "--hash=sha256:" not in entry:
            fail("not a pinned and hashed requirement: " + entry)
        name = _normalize(entry.partition("==")[0].partition("[")[0].strip())
        line = " ".join([word for word in entry.split(" ") if word])
        packages[name] = packages.get(name, []) + [line]
    return packages

def _pip_parse_impl(ctx):
    packages = _parse_lock(ctx.read(ctx.attr.requirements_lock))
    for name in packages:
        ctx.file(name + "/BUILD.bazel", _HUB_BUILD.format(name = name, repo = "%s_%s" % (ctx.name, name)))
    ctx.file("BUILD.bazel")
    ctx.file("requirements.bzl", _HUB_REQUIREMENTS.format(
        hub = ctx.name,
        packages = repr(packages),
        common = repr({
            "extra_pip_args": ctx.attr.extra_pip_args,
            "python_interpreter_target": str(ctx.attr.python_interpreter_target),
        }),
    ))

_COMMON_ATTRS = {
    "extra_pip_args": attr.string_list(),
    "python_interpreter_target": attr.label(
        allow_single_file = True,
        mandatory = True,
    ),
}

pip_parse = repository_rule(
    implementation = _pip_parse_impl,
    attrs = dict(
        requirements_lock = attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        **_COMMON_ATTRS
    ),
)

def _whl_library_impl(ctx):
    ctx.file("requirements.txt", "\n".join(ctx.attr.requirements) + "\n")
    python = str(ctx.path(ctx.attr.python_interpreter_target))

    ctx.report_progress("fetching with pip")
    fetched = ctx.execute(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"] +
        ["--no-deps", "--require-hashes", "--wheel-dir=wheel", "--requirement=requirements.txt"] +
        ctx.attr.extra_pip_args,
        timeout = 600,
    )
    if fetched.return_code:
        fail("pip could not fetch %s:\n%s" % (ctx.name, fetched.stderr))

    ctx.report_progress("unpacking")
    unpacked = ctx.execute(
        [python, ctx.path(ctx.attr._unpack), "--hub=" + ctx.attr.hub] +
        ["--requirement=" + line.partition(" --hash")[0] for line in ctx.attr.requirements] +
        ctx.attr.packages,
    )
    if unpacked.return_code:
        fail("could not unpack %s:\n%s" % (ctx.name, unpacked.stderr))
    ctx.delete("wheel")

whl_library = repository_rule(
    implementation = _whl_library_impl,
    attrs = dict(
        hub = attr.string(mandatory = True),
        packages = attr.string_list(mandatory = True),
        requirements = attr.string_list(mandatory = True),
        # In the main repository, where its style and types are checked like any source's.
        _unpack = attr.label(default = "@//bazel/pypi:unpack_wheel.py"),
        **_COMMON_ATTRS
    ),
)
