"""Programs that Go builds from the module proxy, from versions that a go.mod and a go.sum pin."""

_BUILD = """\
package(default_visibility = ["//visibility:public"])

filegroup(
    name = "binary",
    srcs = ["{binary}"],
)
"""

def _build(ctx):
    """Builds the program; returns why it could not be built, or None."""
    go = ctx.which("go") or ctx.path("/usr/local/go/bin/go")
    if not go.exists:
        return "it is built by Go, which is not installed"
    ctx.symlink(ctx.attr.mod, "go.mod")
    ctx.symlink(ctx.attr.sum, "go.sum")
    built = ctx.execute(
        [go, "build", "-mod=readonly", "-o", ctx.attr.program, ctx.attr.package],
        environment = {"GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
        timeout = 1200,
    )
    if built.return_code:
        reason = built.stderr.strip().split("\n")[-1]
        return "go could not build it (%s); to try again: ./bazelw sync --only=%s" % (reason, ctx.name)
    return None

def _go_binary_impl(ctx):
    # Where Go or the network is missing the build goes on, with the reason in the place of the program.
    there = ctx.which(ctx.attr.program)
    unavailable = None
    if there:
        ctx.symlink(there, ctx.attr.program)
    else:
        unavailable = _build(ctx)
    if unavailable:
        ctx.file("unavailable.txt", unavailable + "\n")
    ctx.file("BUILD.bazel", _BUILD.format(binary = "unavailable.txt" if unavailable else ctx.attr.program))

go_binary = repository_rule(
    implementation = _go_binary_impl,
    attrs = {
        "mod": attr.label(
            allow_single_file = True,
            doc = "The go.mod that requires the program's module.",
            mandatory = True,
        ),
        "package": attr.string(
            doc = "The import path of the program.",
            mandatory = True,
        ),
        "program": attr.string(
            doc = "The program's name; one of this name on the PATH is taken as it is.",
            mandatory = True,
        ),
        "sum": attr.label(
            allow_single_file = True,
            doc = "The go.sum to it.",
            mandatory = True,
        ),
    },
    doc = "@NAME//:binary is the program, or a file unavailable.txt that says why it is not to be had.",
    environ = ["PATH"],
)
