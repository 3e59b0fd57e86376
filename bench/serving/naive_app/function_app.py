"""The endpoint that everybody writes first: it lists the containers on each request. For comparison only."""  # noqa: INP001

import json
import os

import azure.functions as func
from azure.storage.blob.aio import BlobServiceClient
from azurefunctions.extensions.http.fastapi import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
clients: list[BlobServiceClient] = []


@app.route("naive", methods=["GET"])
async def naive(req: Request) -> Response:  # noqa: ARG001
    """Count by listing."""
    if not clients:
        clients.append(BlobServiceClient.from_connection_string(os.environ["STORAGE"]))
    counts = {}
    for folder in ("queued", "input", "output"):
        blobs = clients[0].get_container_client(folder).list_blobs()
        counts[f"{folder}_count"] = len([blob async for blob in blobs])
    return Response(json.dumps({"success": True, "data": counts}), media_type="application/json")
