"""Django Channels as its documentation builds a chat: a consumer, a group, channels_redis. Arguments: the port, Redis' address."""

import sys

import django
import uvicorn
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["channels"],
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [sys.argv[2]], "capacity": 100_000},
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import re_path  # noqa: E402


class Chat(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add("all", self.channel_name)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send("all", {"type": "said", "text": text_data})

    async def said(self, event: dict) -> None:
        await self.send(text_data=event["text"])


application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([re_path("", Chat.as_asgi())])})

if __name__ == "__main__":
    options = {"loop": "uvloop", "http": "httptools", "ws": "websockets-sansio", "ws_ping_interval": None, "backlog": 4096}
    uvicorn.run(application, port=int(sys.argv[1]), log_level="warning", **options)
