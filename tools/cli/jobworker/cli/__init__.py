"""Drives the daemon from a shell: the program worker-cli.

`app` is the composition root; each verb has a module of its name (`start`, `stop`, `status`, `logs`, `rm`, `list`);
`connection` alone opens channels, `output` alone writes, and `errors` holds every error with its exit code. The
decisions (`address`, `errors`, `facts`, `options`, `outage`, `position`, `quantities`, `quoting`, `table`, `words`) are
pure modules. Whatever needs gRPC is imported only once the command line is understood, so that help and wrong usage are
answered at once; and of what gRPC brings along, no more than is used (`postponed`).
"""
