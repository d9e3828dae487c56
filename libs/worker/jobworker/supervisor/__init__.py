"""The supervisor: the small process that is the parent of all jobs.

It spawns, reaps, kills and reports, with one thread that works and the standard library alone; it decides nothing
else. It must never import asyncio, gRPC or `jobworker.worker`: what it costs in memory and start-up, every worker pays.
"""
