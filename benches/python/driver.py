#!/usr/bin/env python3
"""Python's session libraries at the end of a pipe, for jam's bench: `driver.py <library> <where it keeps its sessions>`.

    {"fill": 10000, "tasks": 64, "data": {...}}          puts sessions in that stay
    {"turn": "get", "tasks": 64, "count": 1000}          does it so often on so many threads, or asyncio tasks

The answer to a turn is {"count": ..., "seconds": ..., "p50": ..., "p99": ...}, the percentiles in microseconds, or null where
the library has no such operation.
"""

import asyncio
import concurrent.futures
import json
import sys
import time

USERS = 2000


class Library:
    """What a library does, call by call; a coroutine where it is asynchronous."""

    threads = True

    def call(self, operation, id):
        if operation in ("get", "read"):
            return self.get(id)
        return getattr(self, operation)(id)

    def does(self, operation):
        return operation == "read" or hasattr(self, operation)


class JamlibJson(Library):
    # Threads would write over each other's sessions.
    threads = False

    def __init__(self, path):
        from jam.sessions import JSONSessions

        self.path, self.open = path, lambda: JSONSessions(json_path=path)

    def fill(self, count, data):
        """Its own document, written at once: by creates it would take an hour."""
        self.data = data
        text = json.dumps(data, separators=(",", ":"))
        ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(count)]
        documents = {
            str(number + 1): {"key": f"user{number % USERS}", "session_id": id, "data": text, "created_at": 0.0}
            for number, id in enumerate(ids)
        }
        with open(self.path, "w") as file:
            json.dump({"_default": documents}, file)
        self.sessions = self.open()
        return ids

    def create(self, number):
        return self.sessions.create(f"user{number % USERS}", self.data)

    def get(self, id):
        assert self.sessions.get(id)

    def update(self, id):
        self.sessions.update(id, self.data)

    def request(self, id):
        data = self.sessions.get(id)
        data["visits"] += 1
        self.sessions.update(id, data)

    def rework(self, id):
        return self.sessions.rework(id)

    def delete(self, id):
        self.sessions.delete(id)


class JamlibRedis(JamlibJson):
    threads = True

    def __init__(self, url):
        from jam.sessions import RedisSessions

        self.sessions = RedisSessions(redis_uri=url, redis_sessions_key="python")

    def fill(self, count, data):
        self.data = data
        return [self.create(number) for number in range(count)]


class JamlibAioRedis(Library):
    threads = None

    def __init__(self, url):
        from jam.aio.sessions.redis import RedisSessions

        self.sessions = RedisSessions(redis_uri=url, redis_sessions_key="aio")

    async def fill(self, count, data):
        self.data = data
        return [await self.create(number) for number in range(count)]

    async def create(self, number):
        return await self.sessions.create(f"user{number % USERS}", self.data)

    async def get(self, id):
        assert await self.sessions.get(id)

    async def update(self, id):
        await self.sessions.update(id, self.data)

    async def request(self, id):
        data = await self.sessions.get(id)
        data["visits"] += 1
        await self.sessions.update(id, data)

    async def rework(self, id):
        return await self.sessions.rework(id)

    async def delete(self, id):
        await self.sessions.delete(id)


class DjangoFile(Library):
    def __init__(self, directory):
        import os

        from django.conf import settings

        os.makedirs(directory)
        settings.configure(SESSION_FILE_PATH=directory, SECRET_KEY="of no use outside a measurement", USE_TZ=True)
        from django.contrib.sessions.backends.file import SessionStore

        self.store = SessionStore

    def fill(self, count, data):
        self.data = data
        return [self.create(number) for number in range(count)]

    def create(self, _):
        session = self.store()
        session.update(self.data)
        session.create()
        session.save()
        return session.session_key

    def get(self, id):
        assert self.store(id).load()

    def update(self, id):
        session = self.store(id)
        session.update(self.data)
        session.save()

    def request(self, id):
        session = self.store(id)
        session["visits"] += 1
        session.save()

    def rework(self, id):
        session = self.store(id)
        session.cycle_key()
        return session.session_key

    def delete(self, id):
        self.store(id).delete()


LIBRARIES = {
    "jamlib-json": JamlibJson,
    "jamlib-redis": JamlibRedis,
    "jamlib-aio-redis": JamlibAioRedis,
    "django-file": DjangoFile,
}


class Driver:
    def __init__(self, library):
        self.library, self.number, self.created, self.reached = library, 0, [], 0

    async def answer(self, request):
        if "fill" in request:
            ids = self.library.fill(request["fill"], request["data"])
            ids = await ids if asyncio.iscoroutine(ids) else ids
            self.stored = [ids[task :: request["tasks"]] for task in range(request["tasks"])]
            return None
        operation, tasks, count = request["turn"], request["tasks"], request["count"]
        if not self.library.does(operation):
            return None
        tasks = 1 if self.library.threads is False else tasks
        each = -(-count // tasks)
        if operation == "create":
            held = [list(range(self.number + task * each, self.number + (task + 1) * each)) for task in range(tasks)]
            self.number += each * tasks
        elif operation == "delete":
            kept = max(0, len(self.created) - count)
            held = [self.created[kept + task :: tasks] for task in range(tasks)]
            del self.created[kept:]
        else:
            held = [ids[:] for ids in self.stored[:tasks]]
        times = []
        works = [(operation, ids, len(ids) if operation in ("create", "delete") else each, times) for ids in held]
        self.at = 0 if operation in ("create", "delete") else self.reached
        start = time.perf_counter()
        if self.library.threads is None:
            done = await asyncio.gather(*[self.work_async(*work) for work in works])
        elif tasks == 1:
            done = [self.work(*works[0])]
        else:
            with concurrent.futures.ThreadPoolExecutor(tasks) as threads:
                done = list(threads.map(lambda work: self.work(*work), works))
        seconds = time.perf_counter() - start
        if operation == "create":
            self.created += [id for ids in done for id in ids]
        elif operation != "delete":
            self.stored[: len(done)] = done
            self.reached += each
        times.sort()
        return {
            "count": len(times),
            "seconds": seconds,
            "p50": times[len(times) // 2] * 1e6,
            "p99": times[len(times) * 99 // 100] * 1e6,
        }

    def work(self, operation, ids, each, times):
        for number in range(each):
            place = (self.at + number) % len(ids)
            start = time.perf_counter()
            id = self.library.call(operation, ids[place])
            times.append(time.perf_counter() - start)
            ids[place] = ids[place] if id is None else id
        return ids

    async def work_async(self, operation, ids, each, times):
        for number in range(each):
            place = (self.at + number) % len(ids)
            start = time.perf_counter()
            id = await self.library.call(operation, ids[place])
            times.append(time.perf_counter() - start)
            ids[place] = ids[place] if id is None else id
        return ids


async def main():
    driver = Driver(LIBRARIES[sys.argv[1]](sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(await driver.answer(json.loads(line))), flush=True)


asyncio.run(main())
