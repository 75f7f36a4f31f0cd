"""Fetches a page with aiohttp, and returns its size. The benchmark `fetch` runs this function in fantail, and in a
plain event loop."""
import aiohttp


async def connect():
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def fetch(url):
    async with session.get(url) as response:
        return len(await response.read())
