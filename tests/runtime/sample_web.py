"""A web application of one page behind the live pass-through, served by the real server in test_passthrough."""

import os
import time

from erp_project.passthrough import LivePassThrough


def page(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


application = LivePassThrough(page, os.environ["LIVE_UPSTREAM"], threads=2, streams=3)
