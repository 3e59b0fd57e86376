"""The blob event bridge: Azurite raises no Event Grid events, so this proxy in front of its blob port does.

Everything is passed on byte for byte in both directions. A request that succeeded and made a blob present or absent
also raises the event that Azure would raise, delivered to a webhook with Event Grid's retries and, on request, its
misbehaviour.

    python -m localdev.bridge --port 10000 --azurite http://127.0.0.1:10010 --journal .local/bridge.sqlite \
        --function-url 'http://127.0.0.1:7071/runtime/webhooks/EventGrid?functionName=on_blob_event'

What it promises:

1. A success that a client has seen has its event in the journal, whatever happens to the bridge afterwards.
2. Sequencers of one blob increase in the order in which its changes took effect.
3. An event leaves the journal only when it was delivered; what cannot be delivered is kept with the reason.
"""

from localdev.bridge.bridge import Bridge
from localdev.bridge.chaos import Chaos
from localdev.bridge.events import Schema
from localdev.bridge.settings import BridgeSettings, DeliverySettings

__all__ = ["Bridge", "BridgeSettings", "Chaos", "DeliverySettings", "Schema"]
