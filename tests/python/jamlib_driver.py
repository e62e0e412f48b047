#!/usr/bin/env python3
"""Python's jamlib at the end of a pipe: reads a request in JSON from each line, and answers with a line.

    {"open": "a", "mode": "sync", "uri": "redis://...", "path": "sessions", "ttl": 3600, "secret": null}
    {"on": "a", "call": "create", "args": ["user1", {"role": "admin"}]}

The modes are `sync` (jam.sessions.RedisSessions) and `aio` (jam.aio.sessions.RedisSessions). The answer is {"ok": ...}, or
{"error": "JamSessionNotFound"}, the name of the exception.
"""

import asyncio
import inspect
import json
import sys

from jam.aio.sessions.redis import RedisSessions as AioRedisSessions
from jam.sessions.redis import RedisSessions


def open_sessions(request):
    common = {
        "redis_uri": request["uri"],
        "redis_sessions_key": request["path"],
        "is_session_crypt": request["secret"] is not None,
        "session_aes_secret": request["secret"],
    }
    if request["mode"] == "aio":
        return AioRedisSessions(default_ttl=request["ttl"], **common)
    return RedisSessions(ttl=request["ttl"], **common)


async def answer(opened, request):
    if "open" in request:
        opened[request["open"]] = open_sessions(request)
        return None
    answer = getattr(opened[request["on"]], request["call"])(*request["args"])
    return await answer if inspect.isawaitable(answer) else answer


async def main():
    opened = {}
    for line in sys.stdin:
        try:
            reply = {"ok": await answer(opened, json.loads(line))}
        except Exception as error:  # every one of them is an answer
            reply = {"error": type(error).__name__}
        print(json.dumps(reply), flush=True)


asyncio.run(main())
