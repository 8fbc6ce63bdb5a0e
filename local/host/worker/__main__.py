"""The process that runs one function's handler: `python -m local.host.worker FD PARENT`.

A clean-room approximation of Function Compute's Python runtimes, written from their documentation
and from what calls to them answered; it is not their code. Bytes in, text, bytes or JSON out, one
request at a time; an exception becomes the error JSON, an exit ends the process.
https://help.aliyun.com/en/functioncompute/fc/user-guide/event-handlers-1-1

It imports the standard library only, so that what a function finds loaded is its own doing. It
dies with the host: by the kernel's word where Linux can give it, else when its socket ends.

Args:
    FD: the file descriptor of its end of the socket pair; frames as in `wire.py`. The first one
        holds the settings (`contexts.make_context`, and `code_root`), then come requests {op:
        initialize | invoke, request_id, retry_count} with the event as payload. Each is answered
        with {outcome: ok | error | load_error} and the result or the error JSON.
    PARENT: the host's process id.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import decimal
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from local.host.worker import contexts, failures, logs, wire

_PR_SET_PDEATHSIG = 1
_CHUNK = 1 << 18


def main(arguments: list[str]) -> None:
    """Serve requests until the host closes the socket."""
    descriptor, parent = (int(argument) for argument in arguments)
    _die_with(parent)
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # os's signature
    channel = _Channel(socket.socket(fileno=descriptor))
    settings, _ = channel.receive()
    # Function Compute starts a function in its code root and finds modules there first.
    os.chdir(settings["code_root"])
    sys.path[0] = settings["code_root"]
    logs.install()
    runtime = _Runtime(settings)
    channel.send({"outcome": "ok"})
    while True:
        request, event = channel.receive()
        channel.send(*runtime.answer(request, event))


def _die_with(parent: int) -> None:
    """End when the host ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)


class _Channel:
    """Blocking frames over the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame; exits when the host has closed its end."""
        while True:
            frame = wire.unpack(self._buffer)
            if frame is not None:
                return frame
            data = self._socket.recv(_CHUNK)
            if not data:
                sys.exit(0)
            self._buffer += data

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Send one frame, after everything the function has printed."""
        for stream in (sys.stdout, sys.stderr):
            # A function may have closed or replaced them.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        self._socket.sendall(wire.pack(header, payload))


class _Runtime:
    """Loads the handlers and calls them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._handler: Callable[[bytes, contexts.FCContext], Any] | None = None

    def answer(self, request: dict[str, Any], event: bytes) -> tuple[dict[str, Any], bytes]:
        """Run one request; what the function raises becomes the answer."""
        request_id = request["request_id"]
        logs.current_request_id = request_id
        context = contexts.make_context(self._settings, request_id, request.get("retry_count", 0))
        try:
            if request["op"] == "initialize":
                load(self._settings["initializer"])(context)
                return {"outcome": "ok"}, b""
            if self._handler is None:
                self._handler = load(self._settings["function"]["handler"])
            return {"outcome": "ok"}, encode_result(self._handler(event, context))
        except failures.LoadError as error:
            return {"outcome": "load_error"}, failures.describe(error, _OWN_FILES)
        except Exception as error:  # noqa: BLE001  # whatever a function raises is its answer
            traceback.print_exc()
            return {"outcome": "error"}, failures.describe(error, _OWN_FILES)


_OWN_FILES = frozenset({__file__})


def load(handler: str) -> Callable[..., Any]:
    """Find `module.function`; a path with slashes is read as a dotted module.

    Raises:
        LoadError: ImportModuleError, UserCodeSyntaxError, UserCodeError, HandlerNotFound or
            InvalidHandleName, as the platform calls them.
    """
    module_name, _, name = handler.rpartition(".")
    if not module_name or not name:
        raise failures.LoadError("InvalidHandleName", f"Invalid handler name '{handler}'")
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except SyntaxError as error:
        raise _load_error(
            "UserCodeSyntaxError", f"Syntax error in module '{module_name}'", error
        ) from error
    except ImportError as error:
        raise _load_error(
            "ImportModuleError", f"Unable to import module '{module_name}'", error
        ) from error
    except Exception as error:
        raise _load_error(
            "UserCodeError", f"Module '{module_name}' failed: {error}", error
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        message = f"Handler '{name}' is missing on module '{module_name}'"
        raise failures.LoadError("HandlerNotFound", message)
    return function  # type: ignore[no-any-return]  # callable() says so at run time


def _load_error(kind: str, message: str, error: Exception) -> failures.LoadError:
    traceback.print_exception(error)
    return failures.LoadError(kind, message, traceback.format_exception_only(error))


def encode_result(result: Any) -> bytes:
    """Text and bytes as they are, anything else as JSON the way the platform writes it.

    Raises:
        TypeError: it cannot be written as JSON; a function error.
    """
    if isinstance(result, bytes):
        return result
    if isinstance(result, str):
        return result.encode()
    return json.dumps(result, indent=4, sort_keys=True, default=_jsonable).encode()


def _jsonable(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if hasattr(value, "to_json"):
        return value.to_json()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


if __name__ == "__main__":
    main(sys.argv[1:])
