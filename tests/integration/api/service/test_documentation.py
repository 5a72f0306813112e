"""The OpenAPI document, its page without a network, health, and what browsers of other origins may do."""

from __future__ import annotations

import re

import pytest


def operations(document):
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_documentation_page_needs_nothing_from_elsewhere(shell):
    page = shell.client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"(?:https?:)?//[a-z]", page.text.replace("// ", "")), page.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 3
    for path in loaded:
        asset = shell.client.get(path)
        assert asset.status_code == 200, path
        assert not re.search(rb"@import\s+url\(\"?https?:|src:\s*url\(\"?https?:", asset.content)
    assert shell.client.get("/redoc").status_code == 404


def test_the_document_is_openapi_3_1_with_stable_names(shell):
    document = shell.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "orders keys add" in document["info"]["description"]
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z][A-Za-z0-9]*", name) for name in names)
    assert {"createCustomerToken", "checkKey", "checkReadiness"} <= set(names)
    listed = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations(document) for tag in operation["tags"]} <= listed


def test_each_operation_says_which_keys_it_takes_and_how_it_refuses(shell):
    document = shell.client.get("/openapi.json").json()
    token = document["paths"]["/api/customers/{id}/token"]["post"]
    assert token["security"] == [{"SecretKey": []}]
    assert {"200", "400", "401", "403", "413", "429", "431", "503"} == set(token["responses"])
    refusal = document["components"]["responses"][token["responses"]["401"]["$ref"].rpartition("/")[2]]
    assert refusal["content"]["application/json"]["schema"]["$ref"].endswith("/Errors")
    assert "security" not in document["paths"]["/health/live"]["get"]
    schemes = set(document["components"]["securitySchemes"])
    used = {name for each in operations(document) for one in each.get("security", []) for name in one}
    assert used <= schemes
    assert "HTTPValidationError" not in str(document)


def test_json_that_is_none_is_told_so(shell):
    headers = shell.headers() | {"Content-Type": "application/json"}
    answer = shell.client.post("/api/customers/c/token", headers=headers, content=b'{"expiresIn": 60')
    assert (answer.status_code, answer.json()) == (400, {"errors": [{"message": "Invalid JSON"}]})


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [("GET", "/api/nothing/at/all", 404, "Not Found"), ("DELETE", "/api/me", 405, "Method Not Allowed")],
)
def test_what_is_not_there_is_told_as_payload_does(shell, method, path, status, message):
    answer = shell.client.request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"errors": [{"message": message}]})


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/orders", "GET, HEAD, PATCH, POST"),
        ("/api/orders/ord_1", "GET, HEAD, PATCH"),
        ("/api/orders/count", "GET, HEAD"),
        ("/api/orders/by-number/a/b", "GET, HEAD"),
        ("/api/products", "GET, HEAD, PUT"),
        ("/api/products/mug/blue", "GET, HEAD, PUT"),
        ("/api/products/count", "GET, HEAD"),
        ("/api/customers/c/1/token", "POST"),
        ("/api/returns/return-with-refund", "POST"),
        ("/api/carts/crt_1/items/cit_1", "DELETE, PATCH"),
        ("/webhooks/payments/stripe", "POST"),
    ],
)
def test_a_method_that_is_not_there_is_told_with_those_that_are(shell, path, allowed):
    answer = shell.client.request("OPTIONS", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_each_path_of_the_document_tells_its_methods(shell):
    paths = shell.app.openapi()["paths"]
    told = {path: shell.client.request("OPTIONS", re.sub("[{}]", "", path)).headers["allow"] for path in paths}
    missing = {path: {each.upper() for each in of} - set(told[path].split(", ")) for path, of in paths.items()}
    assert not {path: methods for path, methods in missing.items() if methods}


def test_a_body_of_more_than_a_mebibyte_is_too_large(shell):
    headers = shell.headers() | {"Content-Type": "application/json"}
    for content in (b"x" * (2**20 + 1), (b"x" * 2**16 for _ in range(17))):
        assert shell.client.post("/api/customers/c/token", headers=headers, content=content).status_code == 413


def test_a_schema_that_is_older_is_not_ready_and_a_newer_one_is(shell):
    before = shell.client.get("/health/ready")
    assert (before.status_code, before.json()["checks"]) == (200, {"postgresql": "ok", "redis": "ok"})
    for version, status in (("0001_initial", 503), ("9999_of_the_next_release", 200)):
        with shell.doors.engine.begin() as conn:
            conn.exec_driver_sql(f"update alembic_version set version_num = '{version}'")
        answer = shell.client.get("/health/ready")
        assert answer.status_code == status
        assert ("orders migrate" in answer.text) is (status == 503)
    with shell.doors.engine.begin() as conn:
        conn.exec_driver_sql("drop table alembic_version")
    assert shell.client.get("/health/ready").status_code == 503


def test_pages_of_other_origins_may_call_only_where_they_are_named(shell, open_shell):
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "authorization,x-customer-token"
    closed = shell.client.options("/api/me", headers=asked)
    assert "access-control-allow-origin" not in closed.headers
    named = open_shell(ORDERS_ALLOWED_ORIGINS="https://shop.example")
    allowed = named.client.options("/api/me", headers=asked)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    answer = named.client.get("/api/me", headers=named.headers() | {"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    refused = named.client.get("/api/me", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers


def test_no_door_but_those_of_health_and_webhooks_opens_without_a_key(shell):
    document = shell.client.get("/openapi.json").json()
    publishable = shell.headers("publishable")
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["tags"] in (["Health"], ["Webhooks in"]):
                assert "security" not in operation
                continue
            assert operation["security"], (method, path)
            url = re.sub("{[^}]+}", "x", path)
            assert shell.client.request(method, url).status_code == 401, (method, path)
            if path != "/api/me":
                assert shell.client.request(method, url, headers=publishable).status_code == 403, (method, path)
            asked += 1
    assert asked > 50


def test_the_bare_address_leads_to_the_documentation(shell):
    answer = shell.client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
    assert shell.client.get("/", follow_redirects=True).url.path == "/docs"
    assert shell.client.post("/").status_code == 405


def test_the_document_begins_with_the_creation_of_an_order(shell):
    document = shell.client.get("/openapi.json").json()
    path, operation = next((path, next(iter(of.values()))) for path, of in document["paths"].items())
    assert (path, operation["operationId"], document["tags"][0]["name"]) == ("/api/orders", "createOrder", "Orders")
    place = {tag["name"]: at for at, tag in enumerate(document["tags"])}
    firsts = [min(place[each["tags"][0]] for each in of.values()) for of in document["paths"].values()]
    assert firsts == sorted(firsts)
