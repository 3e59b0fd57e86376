"""shared.settings.storage: what cannot be used stops the start, and what the SDK can use does not."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import urlsplit

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.azure.clients import StorageClients
from shared.errors import SettingsError
from shared.settings.storage import Connection
from tests.leaks.secrets import ACCOUNT_KEY

AZURITE = "UseDevelopmentStorage=true"
ADDRESSES = {
    "STORAGE__blobServiceUri": "https://caseimages.blob.core.windows.net",
    "STORAGE__tableServiceUri": "https://caseimages.table.core.windows.net",
}
KEY = f"AccountName=devstoreaccount1;AccountKey={ACCOUNT_KEY}"


def connection(**environ: str) -> Connection:
    """Read how storage is reached."""
    return Connection.from_environ(environ, in_azure=False)


def is_accepted(text: str) -> bool:
    """Tell whether the start goes on with this connection string; a refusal names the variable and no secret."""
    refusal = ""
    try:
        connection(STORAGE=text)
    except SettingsError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith("STORAGE is not a usable connection string: ")
    assert ACCOUNT_KEY not in refusal
    return not refusal


def is_usable(text: str) -> bool:
    """Tell whether the SDK makes clients of it that know where they connect to, and by which key."""
    try:
        clients = [each.from_connection_string(text) for each in (BlobServiceClient, TableServiceClient)]
        addresses = [urlsplit(client.url) for client in clients]
        _ = [address.port for address in addresses]
        for client in clients:
            key = (
                getattr(client.credential, "account_key", None) or getattr(client.credential, "named_key", ("", ""))[1]
            )
            b64decode(key)
    except ValueError:
        return False
    return all(address.hostname and address.scheme in {"http", "https"} for address in addresses)


PARTS = st.one_of(
    st.tuples(st.just("AccountName"), st.sampled_from(["caseimages", "devstoreaccount1", ""])),
    st.tuples(st.just("AccountKey"), st.sampled_from([ACCOUNT_KEY, "bm90IGEga2V5", "notbase64", "é", ""])),
    st.tuples(st.just("SharedAccessSignature"), st.sampled_from(["sv=2024-11-04&sig=a%3D", "?sv=1", ""])),
    st.tuples(st.just("DefaultEndpointsProtocol"), st.sampled_from(["https", "http", ""])),
    st.tuples(st.just("EndpointSuffix"), st.sampled_from(["core.windows.net", "core.chinacloudapi.cn", ""])),
    st.tuples(
        st.sampled_from(["BlobEndpoint", "TableEndpoint", "QueueEndpoint", "BlobSecondaryEndpoint"]),
        st.sampled_from(
            [
                "https://images.example.com",
                "https://caseimages.blob.core.windows.net/",
                "http://127.0.0.1:10000/devstoreaccount1",
                "http://azurite:10002/devstoreaccount1/",
                "caseimages.table.core.windows.net",
                "https://",
                "http://azurite:port/",
                "",
            ]
        ),
    ),
    st.tuples(st.sampled_from(["Unknown", ""]), st.sampled_from(["x", "a=b", ""])),
)
CASES = st.sampled_from([str, str.lower, str.upper])


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Return a connection string, or what is nearly one."""
    parts = draw(st.lists(PARTS, min_size=1, max_size=7, unique_by=draw(st.sampled_from([lambda part: part[0], id]))))
    text = ";".join(f"{draw(CASES)(name)}={value}" for name, value in parts)
    return text + draw(st.sampled_from(["", ";", ";;"]))


@settings(max_examples=1500)
@given(strings())
def test_a_connection_string_is_accepted_when_the_sdk_can_use_it(text: str) -> None:
    """For blobs and tables both, whatever the order and the case of its names."""
    assert is_accepted(text) == is_usable(text)


@pytest.mark.parametrize(
    "text",
    [
        f"DefaultEndpointsProtocol=https;{KEY};EndpointSuffix=core.windows.net",
        f"{KEY};BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;TableEndpoint=http://127.0.0.1:2/devstoreaccount1;",
        "BlobEndpoint=https://x.blob.core.windows.net/;TableEndpoint=https://x.table.core.windows.net;SharedAccessSignature=sv=1",
        "AccountName=caseimages;SharedAccessSignature=sv=2024-11-04&sig=a%3D",
        KEY,
    ],
)
async def test_what_portals_and_emulators_give_is_accepted(text: str) -> None:
    """Keys and signatures, with and without endpoints; the app's own clients are made of it."""
    assert is_accepted(text)
    assert is_usable(text)
    await StorageClients(connection(STORAGE=text), None).close()


@pytest.mark.parametrize("text", [AZURITE, f"{AZURITE};", "usedevelopmentstorage=TRUE", f" {AZURITE} ", "", ";"])
async def test_azurite_in_any_spelling(text: str) -> None:
    """The SDK's two packages read it differently; both are given the one that they agree on."""
    found = connection(STORAGE=text)
    assert found.connection_string == AZURITE
    await StorageClients(found, None).close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("caseimages", "name=value"),
        ("https://caseimages.blob.core.windows.net", "name=value"),
        (f"{KEY};AccountName=other", "each name once"),
        ("AccountName=x", "neither AccountName and AccountKey nor"),
        ("AccountName=x;AccountKey=notbase64", "AccountKey is not base64"),
        ("BlobEndpoint=https://x.blob.core.windows.net/;SharedAccessSignature=sv=1", "no address of a table service"),
        (f"{KEY};BlobEndpoint=https://", "no address of a blob service"),
        (f"{KEY};DefaultEndpointsProtocol=ftp;EndpointSuffix=core.windows.net", "no address of a blob service"),
        (f"{AZURITE};{KEY}", "stands alone"),
    ],
)
def test_what_is_wrong_with_a_connection_string_is_said(text: str, said: str) -> None:
    """At the start, and not by each invocation."""
    with pytest.raises(SettingsError, match=said):
        connection(STORAGE=text)


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("url", ["https://", "https:///x", "https://a b", "https://a:x", "https://me@a", "http://a"])
def test_an_address_has_a_host(name: str, url: str) -> None:
    """Whatever else the SDK would make of it."""
    with pytest.raises(SettingsError, match=f"{name}=.* must be https://"):
        connection(**ADDRESSES | {name: url})


@given(st.data())
def test_names_are_read_in_any_case(data: st.DataObject) -> None:
    """As Windows has them, where the environment is upper-case, and as people write them."""
    environ = {data.draw(CASES)(name): value for name, value in (ADDRESSES | {"STORAGE__clientId": "1"}).items()}
    assert connection(**environ) == Connection("", *ADDRESSES.values(), "1")


def test_one_name_in_two_cases() -> None:
    """The same value twice is one; two values are refused, whichever would win."""
    url = ADDRESSES["STORAGE__blobServiceUri"]
    assert connection(**ADDRESSES, STORAGE__BLOBSERVICEURI=url) == connection(**ADDRESSES)
    with pytest.raises(SettingsError, match="set twice"):
        connection(**ADDRESSES, STORAGE__BLOBSERVICEURI="https://other.blob.core.windows.net")
