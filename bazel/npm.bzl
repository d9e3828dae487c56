"""Programs that npm packages carry as plain binaries."""

_BUILD = """\
package(default_visibility = ["//visibility:public"])

filegroup(
    name = "binary",
    srcs = ["{binary}"],
)
"""

def _fetch(ctx, package):
    """Unpacks the package; returns why it could not be fetched, or None."""
    npm = ctx.which("npm")
    if not npm:
        return "it comes from npm, which is not installed"
    packed = ctx.execute([npm, "pack", "--silent", package])
    if packed.return_code:
        return "npm could not fetch %s; to try again: ./bazelw sync --only=%s" % (package, ctx.name)
    archive = packed.stdout.strip()
    digest = ctx.execute(["sha256sum", archive]).stdout.split(" ")[0]
    if digest != ctx.attr.sha256:
        fail("%s has sha256 %s, not %s" % (package, digest, ctx.attr.sha256))
    ctx.extract(archive, stripPrefix = "package")
    ctx.delete(archive)
    ctx.delete("package.json")
    return None

def _npm_binary_impl(ctx):
    # Where npm or the network is missing the build goes on, with the reason in the place of the program.
    unavailable = _fetch(ctx, "%s@%s" % (ctx.attr.package, ctx.attr.version))
    if unavailable:
        ctx.file("unavailable.txt", unavailable + "\n")
    ctx.file("BUILD.bazel", _BUILD.format(binary = "unavailable.txt" if unavailable else ctx.attr.binary))

npm_binary = repository_rule(
    implementation = _npm_binary_impl,
    attrs = {
        "binary": attr.string(
            mandatory = True,
            doc = "Path of the program in the package.",
        ),
        "package": attr.string(mandatory = True),
        "sha256": attr.string(
            mandatory = True,
            doc = "Of the package's archive.",
        ),
        "version": attr.string(mandatory = True),
    },
    doc = "@NAME//:binary is the program, or a file unavailable.txt that says why it is not to be had.",
    environ = ["PATH"],
)
