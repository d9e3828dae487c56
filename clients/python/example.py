"""A tour of the API: it starts jobs, follows one, stops one, lists all, and tells errors apart.

python example.py [HOST:PORT [FOLDER]], where the folder has ca-cert.pem, client-cert.pem and client-key.pem.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from grpc import StatusCode

from jobworker.client import (
    STDOUT,
    AsyncClient,
    CallError,
    Data,
    End,
    Gap,
    Interruption,
    SettingsError,
    require_tls_1_3,
)


async def tour(client: AsyncClient) -> None:
    """Does a bit of everything."""
    # Each start sends a request id, so that the call can be repeated and there is one job all the same.
    job = await client.start(["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"])
    print("started", job.id)
    # Restart the daemon meanwhile, with --state-dir, or cut the network: no line is lost or repeated.
    async for frame in client.follow(job.id, STDOUT):
        match frame:
            case Data():
                sys.stdout.buffer.write(frame.content)
                sys.stdout.flush()
            case Gap():
                print(f"(bytes {frame.start} to {frame.end} are gone)")
            case Interruption():
                print(f"(interrupted {frame.reached}: {frame.cause}; goes on in {frame.pause:.1f} s)")
            case End():
                print(f"ended with exit code {frame.job.exit_code} and {frame.end} bytes")

    job = await client.start(["sleep", "3600"])
    job = await client.stop(job.id, grace=5)
    print(f"stopped {job.id}, by signal {job.signal}")

    ids = [job.id async for job in client.jobs(page_size=100)]
    print("the daemon has", len(ids), "jobs")

    try:
        await client.start(["no-such-program"])
    except CallError as error:
        print("to start no-such-program:", advice(error))


def advice(error: CallError) -> str:
    """Tells errors apart: by their code what may be done, by their reason what is the matter."""
    if error.reason == "PROGRAM_NOT_FOUND":
        return f"the daemon's host has no such program: {error.message}"
    match error.code:
        case StatusCode.PERMISSION_DENIED:
            return f"ask the operator for a role: {error.message}"
        case StatusCode.UNAVAILABLE:
            return f"see whether the daemon runs there and takes this certificate: {error.message}"
        case _:
            return f"{error.code.name} {error.reason} {error.field}: {error.message}"


async def main(address: str = "localhost:8080", folder: str = "../../certs") -> None:
    """Connects, and goes on the tour."""
    certs = Path(folder)
    async with AsyncClient.connect(
        address, ca=certs / "ca-cert.pem", cert=certs / "client-cert.pem", key=certs / "client-key.pem"
    ) as client:
        await tour(client)


if __name__ == "__main__":
    if sys.argv[3:]:
        sys.exit("usage: example.py [HOST:PORT [FOLDER]]")
    require_tls_1_3()
    try:
        asyncio.run(main(*sys.argv[1:]))
    except CallError as failed:
        sys.exit(advice(failed))
    except SettingsError as wrong:
        sys.exit(str(wrong))
