"""Access tokens and sends against the FCM simulator, by httpx."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import jwt

from pushcast.simulators import Simulator

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
DEVICE = "cAbCdEfGhIjKlMnOpQrStU:APA91b" + "z" * 100


def assertion(simulator: Simulator, app: str = "news", **changes: Any) -> str:
    account = json.loads(Path(simulator.credentials["apps"][app]["service_account_file"]).read_text())
    now = int(simulator.clock.now())
    claims = {
        "iss": account["client_email"],
        "iat": now,
        "exp": now + 3600,
        "aud": account["token_uri"],
        "scope": SCOPE,
    }
    return jwt.encode(claims | changes, account["private_key"], algorithm="RS256")


class FcmClient:
    def __init__(self, simulator: Simulator, *, http2: bool = True) -> None:
        self.simulator = simulator
        context = ssl.create_default_context(cafile=str(simulator.ca_file))
        self.http = httpx.AsyncClient(http2=http2, http1=not http2, verify=context, trust_env=False)
        self.authorization = ""

    async def __aenter__(self) -> FcmClient:
        await self.authorize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def exchange(self, text: str, grant: str = GRANT) -> httpx.Response:
        endpoint = self.simulator.credentials["token_endpoint"]
        return await self.http.post(endpoint, data={"grant_type": grant, "assertion": text})

    async def authorize(self, app: str = "news") -> None:
        answer = await self.exchange(assertion(self.simulator, app))
        self.authorization = "Bearer " + answer.json()["access_token"]

    async def send(self, message: Any, *, project: str = "news-project", **more: Any) -> httpx.Response:
        url = f"{self.simulator.url}/v1/projects/{project}/messages:send"
        body = message if isinstance(message, bytes) else json.dumps({"message": message, **more}).encode()
        return await self.http.post(url, content=body, headers={"authorization": self.authorization})


def error_code(answer: httpx.Response) -> str | None:
    details = answer.json()["error"].get("details", [])
    return next((detail["errorCode"] for detail in details if "errorCode" in detail), None)


def fields(answer: httpx.Response) -> list[str]:
    details = answer.json()["error"].get("details", [])
    return [violation["field"] for detail in details for violation in detail.get("fieldViolations", [])]
