"""The methods to serve: collects them from generated code, and runs any of the four arities in one way; no policy."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, final

import grpc
from google.protobuf import descriptor_pool

from jobworker.daemon.call import CURRENT
from jobworker.daemon.receiving import receive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from grpc import aio

    from jobworker.daemon.audit import Audit
    from jobworker.daemon.limiter import Limiter

    # What a message is depends on the method.
    Context: TypeAlias = aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Body: TypeAlias = Callable[[Any, Context], Awaitable[object]]


@final
class Methods:
    """Collects the handlers of services; the generated `add_…Servicer_to_server` functions take it for a server.

    Attributes:
        handlers: Each method's handler, by the method's full name.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def __repr__(self) -> str:
        return f"<Methods {len(self.handlers)}>"

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Collects the handlers of a service."""
        self.handlers.update({f"/{service_name}/{name}": handler for name, handler in method_handlers.items()})

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Does nothing: generated code passes the same handlers here once more, in a form that can't be listed."""

    def names(self) -> frozenset[str]:
        """Returns the full names of all methods, those that the services' descriptors have and those collected."""
        return frozenset(self.handlers).union(*map(_described, {name.split("/")[1] for name in self.handlers}))


def _described(service: str) -> Iterator[str]:
    for method in descriptor_pool.Default().FindServiceByName(service).methods:
        yield f"/{service}/{method.name}"


def body_of(handler: Handler, limiter: Limiter, audit: Audit) -> Body:
    """Returns what runs a handler, from the request's bytes to the response's, whatever the handler's arity.

    The gate is to see every error, those of parsing and serializing too, so grpc itself is given neither to do. Nor is
    it to receive a request before the gate has let its caller in: a body does, and so everyone else's costs nothing.

    Args:
        handler: The method's own.
        limiter: What bounds its requests.
        audit: What audits its calls, once there is a request.
    """
    # grpc's types speak of its synchronous server alone.
    behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    parse = _parser(handler)
    write = _writer(handler)

    async def read(requests: object, context: Context) -> object:
        return requests if handler.request_streaming else parse(await receive(context, limiter))

    async def answer_once(requests: object, context: Context) -> object:
        request = await read(requests, context)

        async def answer() -> object:
            return write(await behaviour(request, context))

        return await audit.carry_out(CURRENT.get(), context.peer(), answer)

    async def answer_often(requests: object, context: Context) -> None:
        # A client that is gone ends the loop; the generator's own clean-up must not wait for the garbage collector.
        async with aclosing(behaviour(await read(requests, context), context)) as messages:
            async for message in messages:
                await context.write(write(message))
                del message  # as the service does, which says why

    return answer_often if handler.response_streaming else answer_once


def handler_like(handler: Handler, body: Body) -> Handler:
    """Returns a handler that grpc can serve in place of another, with `body`, which takes and gives bytes.

    To grpc every method is one with a stream of requests, which on the wire is the same: of others it would first
    receive the request, for as long as that takes, and only then ask who calls.
    """
    behaviour: Any = body
    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(behaviour, handler.request_deserializer if handler.request_streaming else None)


def _parser(handler: Handler) -> Callable[[Any], object]:
    parse = handler.request_deserializer or _unchanged

    def parse_and_note(raw: bytes) -> object:
        request = parse(raw)
        call = CURRENT.get()
        call.request, call.job_id = request, getattr(request, "job_id", "")
        return request

    return parse_and_note


def _writer(handler: Handler) -> Callable[[Any], object]:
    serialize = handler.response_serializer or _unchanged
    # A method may answer with bytes that are the message already.
    return lambda message: message if isinstance(message, bytes) else serialize(message)


def _unchanged(message: object) -> object:
    return message
