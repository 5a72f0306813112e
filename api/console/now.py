"""The first page of the console: what comes in and is decided at this moment, what waits for a person, how providers fare.

The page asks for its figures again every two seconds, and for the doctor's checks every half minute. All who watch at one
process share one look (`operations.figures`) and one examination (`api/console/checks.py`). Where PostgreSQL cannot be asked, or
gives no answer, there are no figures; the checks say why, and what to do.
"""
# No `from __future__ import annotations`: FastAPI reads the annotations of the dependencies.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.console.checks import Examinations, Examined, page_of
from api.console.drawings import chart
from api.console.outage import asked
from api.console.render import ConsoleRoute, page, static
from api.console.session import PATH, Watcher
from operations.beat import ALIVE_S
from operations.figures import WAITING_SHOWN, Figures, Looks

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
FOR_EVER = "public, max-age=31536000, immutable"


async def figures_now(request: Request, who: Watcher) -> Figures | None:
    """The figures of this moment; None where PostgreSQL gives none."""
    looks: Looks = request.app.state.looks
    return await asked(request, looks.now)


Now = Annotated[Figures | None, Depends(figures_now)]


@router.get("")
def show_now(request: Request, figures: Now) -> Response:
    """The page with its figures, and with the last examination where that is fresh."""
    return page(request, "now.html", **_checked(_examinations(request).newest()), **_told(request, figures))


@router.get("/now")
def show_figures(request: Request, figures: Now) -> Response:
    """The part of the page that is asked for again and again."""
    return page(request, "now_figures.html", **_told(request, figures))


@router.get("/now/checks")
def show_checks(request: Request, figures: Now) -> Response:
    """The part of the page that says what is wrong, and its cure; the whole page to a browser without scripts.

    `again` in the query asks for a new examination.
    """
    examinations = _examinations(request)
    examined = examinations.again() if "again" in request.query_params else examinations.now()
    if request.headers.get("hx-request"):
        return page(request, "now_checks.html", **_checked(examined))
    return page(request, "now.html", **_checked(examined), **_told(request, figures))


@router.get("/static/{name}")
def serve_file(name: str) -> Response:
    """A style, a script or a picture of ours, which browsers may keep: another content has another address."""
    try:
        content, kind = static(name)
    except KeyError:
        raise HTTPException(404, "There is no such file") from None
    return Response(content, headers={"Cache-Control": FOR_EVER, "Content-Type": f"{kind}; charset=utf-8"})


def _told(request: Request, figures: Figures | None) -> dict[str, Any]:
    if figures is None:
        return {"figures": None}
    looks: Looks = request.app.state.looks
    history = list(looks.history)
    rates = chart({
        "accepted": [(each.at, each.accepted_rate) for each in history],
        "decided": [(each.at, each.decided_rate) for each in history],
    })  # fmt: skip
    waits = chart({"waiting": [(each.at, float(each.waiting)) for each in history]}, least=10)
    return {
        "figures": figures,
        "rates": rates,
        "waits": waits,
        "most_waiting": WAITING_SHOWN,
        "alive": is_alive(figures),
    }


def _checked(examined: Examined | None) -> dict[str, Any]:
    return {"examined": examined, "page_of": page_of}


def _examinations(request: Request) -> Examinations:
    found: Examinations = request.app.state.examinations
    return found


def is_alive(figures: Figures) -> bool:
    """True where the beat and a worker have shown themselves lately."""
    return figures.beat_s is not None and figures.beat_s < ALIVE_S
