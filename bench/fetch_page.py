"""Fetches a page with aiohttp, and returns its size. The benchmark `fetch` runs these functions in fantail, and in a
plain event loop."""
import hashlib

import aiohttp


async def connect():
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def fetch(url):
    async with session.get(url) as response:
        return len(await response.read())


async def fetch_and_work(url):
    """Like fetch(). Also computes for about a millisecond, as a program that parses the page would."""
    async with session.get(url) as response:
        page = await response.read()
    hashlib.pbkdf2_hmac("sha256", page, b"salt", 2000)
    return len(page)
