"""Single-file programs: a py_binary and all it needs in one executable zip."""

load("@rules_python//python:py_info.bzl", "PyInfo")

_PYTHON = "@rules_python//python:toolchain_type"

def _runfiles_path(workspace, file):
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else workspace + "/" + path

def _py_zipapp_impl(ctx):
    workspace = ctx.workspace_name

    # The launcher and the interpreter are how the program starts in a runfiles tree.
    runtime = ctx.toolchains[_PYTHON].py3_runtime
    left_out = {ctx.executable.binary: None, runtime.interpreter: None}
    for file in runtime.files.to_list() if runtime.files else []:
        left_out[file] = None
    files = [file for file in ctx.attr.binary[DefaultInfo].default_runfiles.files.to_list() if file not in left_out]

    out = ctx.actions.declare_file(ctx.label.name)
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    args.add(out)
    args.add(_runfiles_path(workspace, ctx.file.main))
    args.add(":".join([workspace] + ctx.attr.binary[PyInfo].imports.to_list()))
    args.add_all([_runfiles_path(workspace, file) + "=" + file.path for file in files])
    ctx.actions.run(
        executable = ctx.executable._pack,
        arguments = [args],
        inputs = files,
        outputs = [out],
        mnemonic = "PyZipapp",
        progress_message = "Packing %s" % ctx.label,
    )
    return [DefaultInfo(
        executable = out,
        files = depset([out]),
    )]

py_zipapp = rule(
    implementation = _py_zipapp_impl,
    attrs = {
        "binary": attr.label(
            doc = "The py_binary to pack.",
            cfg = "target",
            executable = True,
            mandatory = True,
        ),
        "main": attr.label(
            doc = "The py_binary's main file.",
            allow_single_file = [".py"],
            mandatory = True,
        ),
        "_pack": attr.label(
            cfg = "exec",
            default = "//bazel/zipapp:pack",
            executable = True,
        ),
    },
    doc = "Starts with the Python that it was built with, of which it names major and minor version alone.",
    executable = True,
    toolchains = [_PYTHON],
)
