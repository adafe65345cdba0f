"""A small track service behind Fortissimo.

It knows nothing of passwords, sessions and roles: the gateway checks those, and vouches for the caller with a signed
statement (see caller.py). Who may have which track, the gateway decides, too;
this service tells it whose a new one is.

Settings, from the environment:
  STUDIO_GATEWAY   public address of the gateway: where its keys are, and who must have signed (http://localhost:8080)
  STUDIO_AUDIENCE  this service as the gateway's routes name it (http://127.0.0.1:9000)
  STUDIO_DATA      folder for the tracks (./studio-data)
"""

import os
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import audio
from caller import HEADER, Caller, Verifier
from problem import Refused, problem
from tracks import LARGEST, Track, Tracks

GATEWAY = os.environ.get("STUDIO_GATEWAY", "http://localhost:8080").rstrip("/")
AUDIENCE = os.environ.get("STUDIO_AUDIENCE", "http://127.0.0.1:9000").rstrip("/")
PAGE = Path(__file__).parent / "page"
# Nothing inline, nothing from elsewhere.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

verifier = Verifier(GATEWAY, AUDIENCE)
tracks = Tracks(Path(os.environ.get("STUDIO_DATA", "studio-data")))
# The generated documentation pages load scripts from elsewhere; this service has a README instead.
app = FastAPI(title="Studio", docs_url=None, redoc_url=None, openapi_url=None)


def signed_in(request: Request) -> Caller:
    """The caller. Every route asks for it; a plain `def`, so that fetching keys does not hold up the event loop."""
    return verifier.caller(request.headers.getlist(HEADER))


SignedIn = Annotated[Caller, Depends(signed_in)]
Title = Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


@app.post("/api/tracks", status_code=201)
async def upload(request: Request, response: Response, caller: SignedIn, title: Title = "Untitled") -> Track:
    """Takes the raw audio as the body."""
    declared = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if not declared.startswith("audio/") and declared != "application/octet-stream":
        raise Refused(415, "Send the audio itself as the body, with Content-Type audio/….")
    if int(request.headers.get("content-length", 0)) > LARGEST:
        raise Refused(413, f"A track has at most {LARGEST} bytes.")
    track = await tracks.receive(caller.account, title, request.stream())
    # The gateway takes this out of the answer and makes the track known, with the caller as its owner. From then on it
    # decides who may have it.
    response.headers["Fortissimo-Register"] = f"track/{track.id}"
    return track


@app.get("/api/tracks")
def own_tracks(caller: SignedIn) -> list[Track]:
    """The caller's tracks, newest first."""
    return tracks.of(caller.account)


@app.get("/api/tracks/{track}")
def one_track(track: str, caller: SignedIn) -> Track:
    """The facts of one track."""
    return tracks.one(track)


@app.api_route("/api/tracks/{track}/audio", methods=["GET", "HEAD"])
def listen(track: str, caller: SignedIn) -> FileResponse:
    """The bytes as they came, in pieces; players ask for ranges."""
    found = tracks.one(track)
    return FileResponse(
        tracks.path(found),
        media_type=audio.MEDIA_TYPES[found.format],
        filename=f"{found.id}.{found.format}",
        content_disposition_type="inline",
    )


@app.get("/api/analyze/{track}")
def analyze(track: str, caller: SignedIn) -> dict[str, str | int | float]:
    """What the file says about itself: for WAV its format and duration, for others the size."""
    found = tracks.one(track)
    facts: dict[str, str | int | float] = {"id": found.id, "format": found.format, "size": found.size}
    if found.format == "wav":
        with tracks.path(found).open("rb") as file:
            facts.update(audio.wav_facts(file, found.size))
    return facts


@app.get("/open/whoami")
def whoami(caller: SignedIn) -> Caller:
    """Who the gateway says is calling. Its route is open, so this shows that the service does not rely on the route."""
    return caller


@app.get("/")
def page(_: SignedIn) -> FileResponse:
    """Upload and listen in a browser that is signed in at the gateway."""
    return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": PAGE_POLICY})


@app.get("/studio/studio.js")
def script(_: SignedIn) -> FileResponse:
    """The page's script."""
    return FileResponse(PAGE / "studio.js", media_type="text/javascript")


@app.get("/studio/studio.css")
def style(_: SignedIn) -> FileResponse:
    """The page's style."""
    return FileResponse(PAGE / "studio.css")


@app.exception_handler(Refused)
def refuse(_: Request, refused: Refused) -> JSONResponse:
    return problem(refused.status, refused.detail, refused.headers)


@app.exception_handler(HTTPException)
def refuse_route(_: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, str(error.detail), error.headers)


@app.exception_handler(RequestValidationError)
def refuse_input(_: Request, error: RequestValidationError) -> JSONResponse:
    wrong = "; ".join(f"{found['loc'][-1]}: {found['msg']}" for found in error.errors())
    return problem(400, wrong)


@app.exception_handler(ClientDisconnect)
def gone(_: Request, __: ClientDisconnect) -> JSONResponse:
    # Nobody reads this; it keeps a broken upload from being logged as a fault of ours.
    return problem(400, "The upload broke off.")
