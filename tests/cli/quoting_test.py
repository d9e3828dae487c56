"""Text from elsewhere, made safe to show."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from jobworker.cli.quoting import printable, shell_command

COMMANDS = [
    ("ls", "-l"),
    ("",),
    ("a b", "$HOME", "`x`", "*", "\\"),
    ("it's", '"', "''"),
    ("\x1b[31mred\x1b[0m", "a\nb\tc\r", "\x07\x08\x0b\x0c\x7f\x01"),
    ("it's\n", "\\\n", "\n\\x41", "\x0141"),
    ("ü€", "\u202eevil", "\x9b31m", "\U000e0001x"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_can_be_typed_as_it_is_shown(command: tuple[str, ...]) -> None:
    """A shell reads back exactly the words that were shown."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = f"printf '%s\\0' {shell_command(command)}"
    read = subprocess.run([bash, "-c", script], env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True).stdout
    assert tuple(read.decode().split("\0")[:-1]) == command


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_in_a_command_drives_the_terminal(command: tuple[str, ...]) -> None:
    """No control character, and none that turns the direction of writing, is shown raw."""
    assert shell_command(command).isprintable()


def test_plain_words_stay_plain() -> None:
    """What needs no quotes gets none."""
    assert shell_command(("ls", "-l", "--color=auto", "/usr/x_1.txt", "a@b:c,d%e+f")) == (
        "ls -l --color=auto /usr/x_1.txt a@b:c,d%e+f"
    )


def test_printable_is_one_line() -> None:
    """A service's text cannot forge a second line or colours."""
    assert printable(" a\n b\x1b[31m\u202ec ü") == "a b\\e[31m\\u202ec ü"
