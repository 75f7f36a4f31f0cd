"""Fetches one exchange rate. A real task would use an HTTP library for asyncio, such as aiohttp or httpx."""
import asyncio
import json


async def rate(pair, common):
    reader, writer = await asyncio.open_connection(common["host"], common["port"])
    try:
        writer.write(f"GET /{pair[0]}/{pair[1]} HTTP/1.1\r\nHost: rates\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split()[1].decode()
    if status != "200":
        raise ValueError(f"the server has no rate for {pair[0]}/{pair[1]} (status {status})")
    return json.loads(body)["rate"]
