"""What most Python applications do: `await websocket.send_text()` for one client after the other. Argument: the port."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

CLIENTS: set[WebSocket] = set()


async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    CLIENTS.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for client in tuple(CLIENTS):
                await client.send_text(text)
    except WebSocketDisconnect:
        CLIENTS.discard(websocket)


app = Starlette(routes=[WebSocketRoute("/", endpoint)])

if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), log_level="warning", access_log=False, loop="uvloop", http="httptools",
        ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=None, backlog=4096,
    )  # fmt: skip
