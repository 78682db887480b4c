"""A page in the browser, on this machine alone, of what `edgepose predict` wrote.

stored.py   summaries and tables, read back      packed.py   a track in few bytes, for the page
page.py     the page, of page.html.j2            server.py   page, tracks and videos, to this machine only
"""
