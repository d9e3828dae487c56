"""Hostile clients, made of plain sockets and hand-made frames: what no well-behaved library would send."""

from jobworker_hostile.attacks import ATTACKS, Attack, Target
from jobworker_hostile.frames import Frame
from jobworker_hostile.peer import HostilePeer, open_sockets

__all__ = ["ATTACKS", "Attack", "Frame", "HostilePeer", "Target", "open_sockets"]
