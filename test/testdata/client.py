# A WebSocket client on Python's websockets, like npm/client.mjs: what it is to send comes in as
# lines, what happens to it goes out as lines.
import asyncio
import sys

import websockets


def say(line):
    print(line, flush=True)


async def send(socket):
    while line := await asyncio.to_thread(sys.stdin.readline):
        await socket.send(line.rstrip("\n"))


async def main():
    async with websockets.connect(sys.argv[1]) as socket:
        say("open " + ", ".join(extension.name for extension in socket.extensions))
        sending = asyncio.create_task(send(socket))
        async for message in socket:
            say("message " + message)
        sending.cancel()


asyncio.run(main())
