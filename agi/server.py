"""The FastAGI server: one process, a thread for each call, flows addressed by name (``agi://…/hotline``)."""

import _thread
import logging
import socket
import socketserver
from collections.abc import Callable
from typing import cast

from agi import legs
from agi.call import Call, GaveUp
from agi.channel import AsteriskChannel, Hangup
from agi.hotline import hotline
from agi.notify import notify
from agi.service import Service
from db.pool import Unreachable

log = logging.getLogger(__name__)

CONVERSATIONS: dict[str, Callable[..., None]] = {"hotline": hotline, "notify": notify}
LEGS: dict[str, Callable[..., None]] = {
    "dial": legs.dial,
    "ended": legs.ended,
    "ping": legs.ping,
}


class Server(socketserver.ThreadingTCPServer):
    """Answers Asterisk on the loopback address: whoever can answer there runs code as Asterisk (FACTS)."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, service: Service, beat: Callable[[], None]) -> None:
        self.service = service
        self._beat = beat
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: "socket.socket | tuple[bytes, socket.socket]", client_address: object) -> None:
        # Not threading.Thread, which waits until its thread has had a turn: behind hundreds of others that is long, and
        # Asterisk gives up a connection that is not taken within 2 s.
        _thread.start_new_thread(self.process_request_thread, (request, client_address))

    def service_actions(self) -> None:
        self._beat()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as reader, connection.makefile("wb") as writer:
            try:
                service = cast(Server, self.server).service
                run(AsteriskChannel(reader, writer, service.sounds), service)
            except Hangup:
                return


def run(channel: AsteriskChannel, service: Service) -> None:
    """Run the flow that the dialplan asked for; where it ends in an unforeseen way, the dialplan apologises."""
    arguments = [int(argument) for argument in channel.arguments if argument.isdigit()]
    try:
        if channel.script in LEGS:
            LEGS[channel.script](channel, service, *arguments)
        elif channel.script in CONVERSATIONS:
            call = Call(channel, service.catalogue(), service.settings.calls.longest.total_seconds())
            converse(CONVERSATIONS[channel.script], call, service, *arguments)
            channel.flow_ended()
        else:
            log.error("there is no flow named %r", channel.script)
    except Hangup:
        raise
    except Exception:
        log.exception("%s: unforeseen", channel.script)


def converse(flow: Callable[..., None], call: Call, service: Service, *arguments: int) -> None:
    """Lead the conversation; its end by silence, or by a database that is away, is an end like any other."""
    try:
        flow(call, service, *arguments)
    except GaveUp:
        return
    except Unreachable as error:
        log.error("the database is away: %s", type(error).__name__)
        call.say_all(call.sorry)
