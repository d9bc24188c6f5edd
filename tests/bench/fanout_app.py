"""The fan-out alone: every text message goes to everybody through one group. Arguments: the port, the way to write."""

import gc
import sys
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from live.fanout import Group
from live.fanout_protocol import SCOPE_KEY, FanoutProtocol
from live.frames import Frame
from live.sending import Way


def application(way: Way) -> Starlette:
    group = Group(lambda link: None, way)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        link: FanoutProtocol = websocket.scope["extensions"][SCOPE_KEY]
        link.forget_request()
        link.on_text = lambda text: group.send(Frame(text.encode()))
        link.on_drained = lambda: group.add(link)
        group.add(link)
        await websocket.receive()

    return Starlette(routes=[WebSocketRoute("/", endpoint)])


if __name__ == "__main__":
    app = application(cast(Way, sys.argv[2]))
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    options: dict[str, Any] = {"log_level": "warning", "access_log": False, "loop": "uvloop", "http": "httptools"}
    options |= {"ws_ping_interval": None, "backlog": 4096}
    uvicorn.run(app, port=int(sys.argv[1]), ws=FanoutProtocol, **options)
