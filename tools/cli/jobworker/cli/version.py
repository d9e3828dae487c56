"""Holds the version of the CLI, and nothing else."""

VERSION = "0.1.0"
