"""Workers that accept chunks and withhold the answers. So a coordinator can have thousands of chunks in flight at the
same time. All these workers run in one thread of this program. These workers support only the parts of HTTP that a
coordinator needs."""
import asyncio
import json
import os
import threading

SLOTS = 48  # a coordinator has at most this many chunks of a task in flight at one worker


class HeldWorkers:
    def __init__(self, folder, workers):
        self.paths = [os.path.join(folder, f"held{i}") for i in range(workers)]
        self.held = set()  # one future for each chunk that is held
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result()

    async def listen(self):
        self.servers = [await asyncio.start_unix_server(self.serve, path, backlog=1024) for path in self.paths]

    def addresses(self):
        return "static://" + ",".join(f"unix:{path}" for path in self.paths)

    async def serve(self, reader, writer):
        try:
            while await self.one_request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def one_request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if head.startswith("GET"):
            text = json.dumps({"tasks": [{"name": "sleep", "idempotent": True, "slots": SLOTS}]})
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        else:
            await self.one_chunk(fields, body, reader, writer)
        await writer.drain()
        return True

    async def one_chunk(self, fields, body, reader, writer):
        items = body.split(b"\n")[1:-1]
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nFantail-Worker: w{id(self)}\r\n"
                     f"Fantail-Slots: {SLOTS}\r\nFantail-Chunk: {fields['fantail-chunk']}\r\n"
                     f"Fantail-Attempt: {fields['fantail-attempt']}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        released = self.loop.create_future()
        self.held.add(released)
        gone = asyncio.ensure_future(reader.read(1))  # a coordinator that cuts the chunk off closes the connection
        await asyncio.wait((released, gone), return_when=asyncio.FIRST_COMPLETED)
        self.held.discard(released)
        if gone.done():
            raise ConnectionError
        gone.cancel()
        try:
            await gone
        except asyncio.CancelledError:
            pass
        lines = b"".join(b'{"value":%s}\n' % item for item in items) + b'{"end":"complete","done":%d}\n' % len(items)
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(lines), lines))

    def count(self):
        return len(self.held)

    def release(self):
        """Answers all chunks that are held now."""
        async def answer():
            for future in list(self.held):
                if not future.done():
                    future.set_result(None)
        asyncio.run_coroutine_threadsafe(answer(), self.loop).result()

    def close(self):
        async def stop():
            for server in self.servers:
                server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        asyncio.run_coroutine_threadsafe(stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
