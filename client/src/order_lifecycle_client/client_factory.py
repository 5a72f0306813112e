"""The arguments that a client is made with, checked: keys, addresses, names of collections."""

from __future__ import annotations

from importlib.metadata import version

import httpx

from order_lifecycle_client.models import COLLECTIONS, Document

BASE_URL = "http://127.0.0.1:8000"  # where `orders up` serves
SECRET, PUBLISHABLE = "sk01_", "pk01_"
USER_AGENT = f"order-lifecycle-client/{version('order-lifecycle-client')}"


def server_headers(secret_key: str, publishable_key: str | None) -> dict[str, str]:
    """The headers of a backend. Errors: ValueError, which never shows a key."""
    _check("secret_key", secret_key, SECRET, "orders keys add secret")
    if publishable_key is not None:
        _check("publishable_key", publishable_key, PUBLISHABLE, "orders keys add publishable")
    return _headers(secret_key)


def customer_headers(publishable_key: str, customer_token: str) -> dict[str, str]:
    """The headers of a customer's page. Errors: ValueError, which never shows a key."""
    _check("publishable_key", publishable_key, PUBLISHABLE, "orders keys add publishable")
    if not customer_token:
        raise ValueError("customer_token is empty; your backend makes one with server_client.api.customer_token(id)")
    return {**_headers(publishable_key), "X-Customer-Token": customer_token}


def host_of(base_url: str) -> str:
    """The API's address, with or without the `/api` that its paths begin with. Errors: ValueError."""
    wrong = ValueError(f"base_url: {base_url!r} is no address; give one such as {BASE_URL}")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise wrong from None
    if url.scheme not in ("http", "https") or not url.host:
        raise wrong
    return base_url.rstrip("/").removesuffix("/api")


def model_of(collection: str) -> type[Document]:
    """The model of a collection's documents. Errors: ValueError."""
    if collection not in COLLECTIONS:
        raise ValueError(f"there is no collection {collection!r}; there are {', '.join(COLLECTIONS)}")
    return COLLECTIONS[collection]


def _check(name: str, key: str, prefix: str, command: str) -> None:
    if not key.startswith(prefix):
        raise ValueError(f"{name} begins with {prefix}; make one with `{command}`")


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": USER_AGENT}
