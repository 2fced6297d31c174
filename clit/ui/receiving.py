"""Files that visitors and programs send: one at a time, bounded, each under a path of its own.

The route stands in place of gradio's, which names a file by its content: two visitors would share it.
"""

from __future__ import annotations

from collections import Counter

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clit.errors import UserError
from clit.ui.addresses import asking
from clit.ui.site import Site

AT_ONCE, AT_ONCE_OF_ONE = 12, 4
"""Files being received: of all, and from one address."""


def make_upload_route(site: Site) -> Route:
    """Return the route that receives a file: a form with one, answered by a list of its path."""
    receiving: Counter[str | None] = Counter()

    async def receive(request: Request) -> Response:
        address = asking.get()
        if receiving.total() >= AT_ONCE or receiving[address] >= AT_ONCE_OF_ONE:
            return refuse(429, "Too many files are being sent now: send it again in a moment.")
        receiving[address] += 1
        try:
            async with request.form(max_files=1, max_fields=4) as form:
                files = [each for each in form.values() if isinstance(each, UploadFile)]
                if len(files) != 1 or not files[0].size:
                    return refuse(400, "Send one file at a time, and one that is not empty.")
                path = await run_in_threadpool(site.disk.keep, files[0].file, files[0].size)
            return JSONResponse([str(path)])
        except HTTPException:  # it is no form, or has more files
            return refuse(400, "Send one file at a time, as a form.")
        except UserError as error:
            return refuse(507, str(error))
        except OSError:  # what is received before it is kept lies on disk too
            return refuse(507, "The server has no room for this file now: try again in some minutes.")
        except ClientDisconnect:
            return refuse(400, "The file did not arrive: send it again.")
        finally:
            receiving[address] -= 1
            if not receiving[address]:
                del receiving[address]

    return Route("/gradio_api/upload", receive, methods=["POST"])


def refuse(status: int, sentence: str) -> Response:
    """Return an answer that says why there is no other."""
    return JSONResponse({"error": sentence}, status_code=status)
