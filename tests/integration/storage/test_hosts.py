"""Several hosts in DATABASE_URL, as libpq takes them: the first that answers is used."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from settings.environment import read
from storage import engine as engines


def test_the_host_that_answers_is_used_where_another_is_away(database_url):
    at = make_url(database_url)
    several = database_url.replace(f"{at.host}:{at.port}", f"{at.host}:1,{at.host}:{at.port}")
    assert several != database_url
    settings = read({"DATABASE_URL": several, "REDIS_URL": "redis://localhost"}, Path("/nonexistent/.env"))
    assert settings.database_url is not None
    engine = engines.connect(settings.database_url)
    with engine.connect() as conn:
        assert conn.execute(text("select inet_server_port()")).scalar_one() == at.port
    engine.dispose()
