"""The one entrance of every call, unary or streaming: who calls, may they, what came of it, and a line in the log.

No method can be served around it: grpc is given the gate alone, and the gate wraps each handler once, at start. That
does for every call what an interceptor would, without an interceptor's cost per call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NoReturn, final

import grpc
from google.rpc import code_pb2
from grpc import aio
from grpc_status import rpc_status

from jobworker.daemon import tls
from jobworker.daemon.call import CURRENT, Call, admitted
from jobworker.daemon.errors import CallError, ConnectionTooWeakError, UnknownMethodError
from jobworker.daemon.methods import body_of, handler_like
from jobworker.daemon.peer import peer_of
from jobworker.daemon.permissions import check_complete
from jobworker.daemon.status import rule_of, status_of

if TYPE_CHECKING:
    from jobworker.daemon.access_log import AccessLog
    from jobworker.daemon.audit import Audit
    from jobworker.daemon.counters import Counters
    from jobworker.daemon.limiter import Limiter
    from jobworker.daemon.live_calls import LiveCalls
    from jobworker.daemon.methods import Body, Context, Handler, Methods

_logger = logging.getLogger(__name__)


@final
class Gate(grpc.GenericRpcHandler):
    """Finds the handler of each call for grpc; every one that it gives out authorizes, logs, and tells errors."""

    def __init__(  # noqa: PLR0913 - each has a part in every call
        self,
        methods: Methods,
        calls: LiveCalls,
        counters: Counters,
        *,
        limiter: Limiter,
        audit: Audit,
        access_log: AccessLog,
    ) -> None:
        """Wraps the methods.

        Args:
            methods: All that is served.
            calls: What lets calls in, and ends those that may not go on.
            counters: What counts the calls, by their codes.
            limiter: What bounds their requests, and how many may stream.
            audit: What audits them.
            access_log: Where each has its line.

        Raises:
            PermissionTableError: If the permission table does not fit the methods; a bug of ours.
        """
        check_complete(methods.names())
        self._calls = calls
        self._counters = counters
        self._limiter = limiter
        self._audit = audit
        self._access_log = access_log
        self._handlers = {name: self._guarded(name, handler) for name, handler in methods.handlers.items()}

    def __repr__(self) -> str:
        return f"<Gate methods={len(self._handlers)} calls={self._calls!r}>"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Returns the guarded handler of a call; that of a method which doesn't exist refuses, and is logged too."""
        method = handler_call_details.method
        return self._handlers.get(method) or self._guarded(method, _NO_SUCH_METHOD)

    def _guarded(self, method: str, handler: Handler) -> Handler:
        body = body_of(handler, self._limiter, self._audit)
        if handler.response_streaming:
            body = self._counted(body)

        async def serve(request: object, context: Context) -> object:
            return await self._serve(method, body, request, context)

        return handler_like(handler, serve)

    def _counted(self, body: Body) -> Body:
        async def stream(request: object, context: Context) -> object:
            with self._limiter.following(admitted().principal):
                return await body(request, context)

        return stream

    async def _serve(self, method: str, body: Body, request: object, context: Context) -> object:
        started = time.perf_counter()
        call, code = Call(method), code_pb2.OK
        CURRENT.set(call)
        try:
            self._admit(call, context)
            with self._calls.under_way(call):
                return await body(request, context)
        except (asyncio.CancelledError, aio.BaseError):
            # The client is gone, its deadline passed, or the server stopped; nobody is there to be told.
            code = code_pb2.DEADLINE_EXCEEDED if context.time_remaining() == 0 else code_pb2.CANCELLED
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is told and logged here
            code = rule_of(error).code
            await self._audit.refused(call, context.peer(), error)
            await _tell(error, call, context)
        finally:
            self._counters.add("jobworker_calls_total", f"code={code_pb2.Code.Name(code)}")
            self._access_log.write(call, code, context.peer(), time.perf_counter() - started)

    def _admit(self, call: Call, context: Context) -> None:
        call.peer = peer_of(context.auth_context())
        # A second lock: the floor under the handshake rests on how grpc's library reads a variable.
        if call.peer.tls_version != tls.VERSION:
            raise ConnectionTooWeakError
        self._calls.admit(call)


async def _no_such_method(_requests: object, _context: object) -> NoReturn:
    raise UnknownMethodError


# The arity of an unknown method is unknown; a handler of this one answers before it reads.
_NO_SUCH_METHOD: Handler = grpc.stream_unary_rpc_method_handler(_no_such_method)


async def _tell(error: Exception, call: Call, context: Context) -> NoReturn:
    """Answers a call with an error; what the client must not or need not know goes to the log alone."""
    # What a `CallError` says is all there is to say; where it came from is known.
    if rule_of(error).code == code_pb2.INTERNAL and not isinstance(error, CallError):
        fields = {"method": call.method, "error": f"{type(error).__name__}: {error}"}
        _logger.error("call_failed", extra={"fields": fields}, exc_info=error)
    await context.abort_with_status(rpc_status.to_status(status_of(error, call.job_id)))
