"""Stand-ins for the protobuf messages that the runtime package exchanges with its host.

`azure-functions-runtime` never imports protobuf: its host hands it a namespace of message classes
(`properties["protos"]`) and it uses them as records. The real host generates them from `FunctionRpc.proto`
(Azure/azure-functions-language-worker-protobuf). Here each is a plain object: attributes that were not given read
as None, as an unset field would.
"""

from types import SimpleNamespace
from typing import Any


class Message:
    """A record with whatever fields it was given."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy, pickle and friends probe for these
            raise AttributeError(name)
        return None


class BindingInfo(Message):
    """A binding; the constants are the values of its two enumerations."""

    in_, out, inout = 0, 1, 2
    undefined, string, binary, stream = 0, 1, 2, 3


class StatusResult(Message):
    """The result of a request to the worker."""

    Failure, Success, Cancelled = 0, 1, 2


PROTOS = SimpleNamespace(
    BindingInfo=BindingInfo,
    StatusResult=StatusResult,
    **{
        name: type(name, (Message,), {})
        for name in (
            "FunctionMetadataResponse",
            "InvocationResponse",
            "ParameterBinding",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "RpcRetryOptions",
            "TypedData",
            "WorkerInitResponse",
            "WorkerMetadata",
        )
    },
)
"""What the runtime package looks its message classes up in."""


class HttpInput:
    """A `ParameterBinding` whose `TypedData` is an `RpcHttp` that carries nothing but route parameters.

    One object plays the three nested messages: of a proxied request the worker's HTTP server has the rest, and a
    parked long poll should hold on to as little as possible.
    """

    __slots__ = ("name", "params")

    method = url = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - shared and never written
    query: dict[str, str] = {}  # noqa: RUF012
    body = SimpleNamespace(WhichOneof=lambda _: "bytes", bytes=b"")

    def __init__(self, name: str, params: dict[str, str]) -> None:
        self.name = name
        self.params = params

    @property
    def data(self) -> "HttpInput":
        """The `TypedData`."""
        return self

    @property
    def http(self) -> "HttpInput":
        """The `RpcHttp`."""
        return self

    def WhichOneof(self, group: str) -> str:  # noqa: N802 - protobuf's name
        """Name the field of a protobuf `oneof` that is set: of `rpc_data` the data, of `data` the HTTP request."""
        return "data" if group == "rpc_data" else "http"


class HttpInvocation:
    """A `StreamingMessage` that holds an `InvocationRequest`, in one object for the same reason."""

    __slots__ = ("function_id", "input_data", "invocation_id")

    trigger_metadata: dict[str, Any] = {}  # noqa: RUF012 - shared and never written
    trace_context = SimpleNamespace(trace_parent="", trace_state="", attributes={})
    retry_context = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)
    properties: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, invocation_id: str, function_id: str, input_data: list[HttpInput]) -> None:
        self.invocation_id = invocation_id
        self.function_id = function_id
        self.input_data = input_data

    @property
    def request(self) -> "HttpInvocation":
        """The message's content."""
        return self

    @property
    def invocation_request(self) -> "HttpInvocation":
        """The `InvocationRequest`."""
        return self
