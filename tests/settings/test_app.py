"""shared.settings.app: defaults, refusals that name the variable, and that docs/configuration.md tells all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SettingsError
from shared.model.folders import FOLDERS, INPUT, OUTPUT, QUEUED, RESERVED, Location
from shared.settings.app import LONGEST_HEARTBEAT_SECONDS, Settings
from shared.settings.storage import Connection
from shared.settings.tokens import JwtSettings
from tests.builders import ROOT

IDENTITY = {
    "STORAGE__blobServiceUri": "https://caseimages.blob.core.windows.net",
    "STORAGE__tableServiceUri": "https://caseimages.table.core.windows.net",
}
JWT = {
    "AUTH_MODE": "jwt",
    "JWT_ISSUER": "https://login.example.com/",
    "JWT_AUDIENCE": "api://blob-status",
    "JWT_JWKS_URL": "https://login.example.com/jwks.json",
}
#: What only the host reads; documented with the rest.
OF_THE_HOST = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}


def read(**environ: str) -> Settings:
    """Read the settings of this environment."""
    return Settings.from_environ(environ)


def refusal(**environ: str) -> str:
    """Return why this environment is refused."""
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    return str(caught.value)


class Recording(Mapping[str, str]):
    """An environment that notes what is looked up, however it is done."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        """Note the name."""
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Searching is for refusing what is unknown; a value that is looked at on the way is noted like any other."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of variables."""
        return len(self._values)


def names_read() -> set[str]:
    """Return every variable that is looked up in some mode."""
    environments = [Recording(values) for values in ({}, IDENTITY, JWT)]
    for environment in environments:
        Settings.from_environ(environment)
    return set().union(*(environment.asked for environment in environments))


def documented() -> dict[str, tuple[str, str]]:
    """Return name → (default, example) of every row of the tables in docs/configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| .+ \| (.+?) \|$", text, re.MULTILINE)
    assert len({name for name, _, _ in rows}) == len(rows)
    return {name: (default.strip("`"), example.strip("`")) for name, default, example in rows}


def test_every_setting_is_documented():
    """What is read from the environment is what docs/configuration.md describes: no more, no less."""
    assert set(documented()) == names_read() | OF_THE_HOST


@pytest.mark.parametrize("name", sorted(name for name, row in documented().items() if row[0] != "(not set)"))
def test_documented_defaults_are_in_force(name):
    """Setting a variable to its documented default changes nothing."""
    base = JWT if name == "JWT_ALGORITHMS" else {}
    assert read(**base, **{name: documented()[name][0]}) == read(**base)


@pytest.mark.parametrize("name", sorted(names_read()))
def test_documented_examples_are_accepted(name):
    """What the page gives as an example can be set."""
    base = (
        IDENTITY
        if name.startswith(("STORAGE__", "WEBSITE_"))
        else JWT
        if name.startswith("JWT_") or name == "AUTH_MODE"
        else {}
    )
    if name == "JWT_CASES_CLAIM":
        base |= {"CASE_FROM": "first-segment"}
    assert read(**(base | {name: documented()[name][1]}))


@pytest.mark.parametrize(
    ("rule", "name", "case"),
    [
        ("first-segment", "a/b/1.jpg", "a"),
        ("^case-([0-9]+)/", "case-17/1.jpg", "17"),
        ("^case-([0-9]+)/", "case-x/1.jpg", ""),
        ("^(?:a|b)/([^/]*)/", "b/ä/1.jpg", "ä"),
        ("^(x)?", "1.jpg", ""),
    ],
)
def test_a_case_is_found_by_its_rule(rule, name, case):
    """In the name below the folder; a name that the rule does not find has none."""
    assert read(CASE_FROM=rule, QUEUED_FOLDER="images/queued").folders.case_of(f"images/queued/{name}") == case
    assert read().folders.cases is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CASE_FROM": "("}, "RE2"),
        ({"CASE_FROM": "(?=a)(b)"}, "RE2"),
        ({"CASE_FROM": "^a/"}, "0 groups"),
        ({"CASE_FROM": "^(a)/(b)"}, "2 groups"),
        ({"CASE_FROM": "first-segment", "CASE_UNKNOWN": "nothing"}, "zeros, not-found"),
        ({**JWT, "JWT_CASES_CLAIM": "cases"}, "JWT_CASES_CLAIM needs CASE_FROM"),
        ({**JWT, "CASE_FROM": "first-segment", "JWT_CASES_CLAIM": "a b"}, "not the name of one claim"),
    ],
)
def test_a_rule_that_finds_no_case_is_refused(environ, said):
    """At the start, with what to write instead."""
    with pytest.raises(SettingsError, match=said):
        read(**environ)


def test_a_rule_takes_no_longer_than_the_name_is_long():
    """Nested repetition on a name that nearly matches brings other engines down; the suite's timeout is the limit."""
    find = read(CASE_FROM="^((?:a+)+)/$").folders.case_of
    assert find(f"queued/{'a' * 1000}") == ""


def test_the_example_file_is_valid():
    """local.settings.json.example holds documented names only, and the app starts with it."""
    values = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    assert set(values) <= set(documented())
    assert read(**values)


def test_the_environment_is_read_in_one_place():
    """function_app.py hands the environment over; nothing else in the app looks at it."""
    sources = [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]
    found = [path.name for path in sources if re.search(r"os\.environ|getenv|import environ", path.read_text())]
    assert found == ["function_app.py"]


def test_defaults():
    """With nothing set the app counts three containers of Azurite and asks nobody for a token."""
    found = read()
    assert found.storage == Connection("UseDevelopmentStorage=true")
    assert found.folders.locations == {QUEUED: Location("queued"), INPUT: Location("input"), OUTPUT: Location("output")}
    assert {"jpg", "jpeg", "png", "heic", "tiff"} <= set(found.folders.suffixes)
    assert (found.counts_table, found.quarantine_container) == ("storagecounts", "eventgrid-quarantine")
    assert (found.poll_interval_seconds, found.max_wait_seconds) == (0.5, 60)
    assert (found.max_stream_seconds, found.heartbeat_seconds, found.max_waiters) == (180, 15, 1200)
    assert (found.reconcile_schedule, found.reconcile_on_start) == ("0 */15 * * * *", True)
    assert (found.verify_deletes, found.auth_mode, found.jwt, found.cors_origins) == (False, "anonymous", None, ())


def test_no_waiters_at_all_is_not_a_limit():
    """Zero is the default, not a server that holds nobody."""
    assert read(MAX_WAITERS="0").max_waiters == read().max_waiters
    assert read(MAX_WAITERS="1").max_waiters == 1
    assert read(QUARANTINE_RETENTION_DAYS="7").quarantine_retention == timedelta(days=7)


def test_blank_is_not_set():
    """A variable that is empty or blank counts as absent: portals leave such behind."""
    blank = dict.fromkeys(names_read() - {"WEBSITE_SITE_NAME"}, "  ")
    assert read(**blank) == read()


def test_settings_do_not_change():
    """The settings are one frozen object."""
    found = read()
    with pytest.raises(AttributeError):
        found.auth_mode = "jwt"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "location"),
    [
        ("images", Location("images")),
        ("images/", Location("images")),
        ("images/queued", Location("images", "queued/")),
        ("images/a/b/", Location("images", "a/b/")),
        (" images/queued ", Location("images", "queued/")),
        ("$root", Location("$root")),
        ("my-images-2", Location("my-images-2")),
    ],
)
def test_folders(value, location):
    """A folder is a container, or a prefix of one that ends with a slash."""
    assert read(QUEUED_FOLDER=value).folders.locations[QUEUED] == location


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    "value", ["ab", "Images", "-images", "images-", "a--b", "im_ages", "/queued", "im\u00e4ges", "$logs"]
)
def test_bad_folders(folder, value):
    """What is no container name is refused, naming the variable and what it was."""
    name = f"{folder.upper()}_FOLDER"
    found = refusal(**{name: value})
    assert found.startswith(f"{name}={value}")
    assert f"try {name}={folder}" in found


@pytest.mark.parametrize("name", ["a-bc", "abc", "a" * 63, "a" + "-a" * 31])
def test_container_names(name):
    """Any container name of 3 to 63 characters may be a folder."""
    assert read(QUEUED_FOLDER=name).folders.locations[QUEUED].container == name


def test_the_shortest_container_name_has_3_characters():
    """A dash counts as a character."""
    assert read(QUEUED_FOLDER="a-b")


@pytest.mark.parametrize("name", ["a" * 64, "a" * 62 + "-a", "a" + "-a" * 32])
def test_the_longest_container_name_has_63_characters(name):
    """Dashes do not make room for more than 63 characters."""
    assert "QUEUED_FOLDER" in refusal(QUEUED_FOLDER=name)


@pytest.mark.parametrize(
    "places",
    [
        {"QUEUED_FOLDER": "images", "INPUT_FOLDER": "images"},
        {"QUEUED_FOLDER": "images", "INPUT_FOLDER": "images/input"},
        {"QUEUED_FOLDER": "images/a", "INPUT_FOLDER": "images/a/b"},
        {"INPUT_FOLDER": "queued"},
        {"INPUT_FOLDER": "images/a/", "OUTPUT_FOLDER": "images/a"},
    ],
)
def test_overlapping_folders(places):
    """Folders that overlap are refused, naming both."""
    found = refusal(**places)
    assert "overlaps" in found
    assert found.count("_FOLDER=") == 2


def test_no_extra_folders():
    """Without the setting, or with an empty one, there are the three."""
    assert list(read().folders.locations) == list(read(EXTRA_FOLDERS=" , ").folders.locations) == list(FOLDERS)


def test_extra_folders():
    """They come after the three, by name: the order in the setting says nothing."""
    found = read(EXTRA_FOLDERS=" review = images/review/ , failed=failed,,step_2=x-2 ").folders
    assert dict(list(found.locations.items())[3:]) == {
        "failed": Location("failed"),
        "review": Location("images", "review/"),
        "step_2": Location("x-2"),
    }
    assert list(found.locations) == [*FOLDERS, "failed", "review", "step_2"]
    assert found == read(EXTRA_FOLDERS="step_2=x-2,failed=failed,review=images/review").folders


@pytest.mark.parametrize(
    "value",
    [
        "failed",
        "=failed",
        "Failed=failed",
        "2=failed",
        "_a=failed",
        "a-b=failed",
        f"{'a' * 33}=failed",
        "\u00e4=failed",
    ],
)
def test_bad_extra_folders(value):
    """What is not name=location is refused: it is quoted, with the right form."""
    found = refusal(EXTRA_FOLDERS=f"ok=okay,{value}")
    assert found.startswith(f"EXTRA_FOLDERS={value}: write name=container")


@pytest.mark.parametrize("value", ["", "ab", "Failed", "a_b"])
def test_bad_locations_of_extra_folders(value):
    """What is no container name is refused as for the three; the proposal is one."""
    found = refusal(EXTRA_FOLDERS=f"not_good={value}")
    assert found.startswith(f"EXTRA_FOLDERS: not_good={value} does not begin with a container name")
    assert "try EXTRA_FOLDERS: not_good=not-good" in found


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names(name):
    """A name by which the status says something else is refused."""
    assert refusal(EXTRA_FOLDERS=f"{name}=failed").startswith(f"EXTRA_FOLDERS: the name {name} is taken")


def test_a_name_twice():
    """Two places with one name are refused."""
    assert refusal(EXTRA_FOLDERS="failed=a-1,failed=a-2").startswith("EXTRA_FOLDERS: the name failed is there twice")


@pytest.mark.parametrize(
    ("extra", "quoted"),
    [
        ("failed=queued", ["EXTRA_FOLDERS: failed=queued", "QUEUED_FOLDER=queued"]),
        ("failed=output/failed", ["EXTRA_FOLDERS: failed=output/failed", "OUTPUT_FOLDER=output"]),
        ("b=same/x,a=same", ["EXTRA_FOLDERS: b=same/x", "EXTRA_FOLDERS: a=same"]),
    ],
)
def test_extra_folders_that_overlap(extra, quoted):
    """No place lies in another, whichever setting says it; both are quoted."""
    found = refusal(EXTRA_FOLDERS=extra)
    assert "overlaps" in found
    assert all(each in found for each in quoted)


def test_the_most_extra_folders():
    """As many as Event Grid can filter by; one more is refused."""
    places = [f"f{number}=folder-{number}" for number in range(23)]
    assert len(read(EXTRA_FOLDERS=",".join(places[:22])).folders.locations) == 25
    assert "more than 22" in refusal(EXTRA_FOLDERS=",".join(places))


def test_the_quarantine_lies_in_no_extra_folder():
    """Its blobs would be counted."""
    found = refusal(EXTRA_FOLDERS="failed=kept/x", QUARANTINE_CONTAINER="kept")
    assert "is the container of EXTRA_FOLDERS: failed" in found


@pytest.mark.parametrize(
    ("value", "suffixes"),
    [("jpg", ("jpg",)), (" .JPG, png ,,jpg", ("jpg", "png")), ("*", ("*",)), ("x_1,a-b", ("x_1", "a-b"))],
)
def test_suffixes(value, suffixes):
    """Suffixes are folded to lower case without the dot, each once."""
    assert read(IMAGE_SUFFIXES=value).folders.suffixes == suffixes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("IMAGE_SUFFIXES", [",", "tar.gz", "*.jpg", "jpg png", "jp/g", "..jpg", "jp\u00e9g"]),
        ("COUNTS_TABLE", ["ab", "1counts", "counts-1", "counts_1", "x" * 59]),
        ("QUARANTINE_CONTAINER", ["Q", "Quarantine", "queued/x", "queued", "output"]),
        ("POLL_INTERVAL_SECONDS", ["0", "0.04", "31", "-1", "fast", "nan", "inf"]),
        ("MAX_WAIT_SECONDS", ["0", "0.9", "201", "1m", "nan", "inf"]),
        ("MAX_STREAM_SECONDS", ["0", "481", "600", "nan", "-inf"]),
        ("HEARTBEAT_SECONDS", ["0", "30.1", "nan"]),
        ("QUARANTINE_RETENTION_DAYS", ["-1", "36501", "1.5", "for ever"]),
        ("MAX_WAITERS", ["-1", "100001", "1.5", "many", "1e3"]),
        ("RECONCILE_ON_START", ["yes", "2", "on"]),
        ("VERIFY_DELETES", ["no", "off", "truee"]),
        ("AUTH_MODE", ["none", "JWT", "jwt,function"]),
        (
            "RECONCILE_SCHEDULE",
            ["15", "hourly", "* * * *", "0 0 * * * * *", "99 99 * * * *", "a b c d e f", "00:05:00"],
        ),
        ("STORAGE__blobServiceUri", ["caseimages", "http://caseimages.blob.core.windows.net"]),
        (
            "CORS_ORIGINS",
            ["app.example.com", "https://a.example/x", "1ftp://a.example", "https://", "https://*.example/ x"],
        ),
    ],
)
def test_wrong_values(name, values):
    """Each wrong value is refused with a message that names the variable."""
    for value in values:
        assert name in refusal(**{name: value}), value


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("POLL_INTERVAL_SECONDS", "0.05", "30"),
        ("MAX_WAIT_SECONDS", "1", "200"),
        ("MAX_STREAM_SECONDS", "1", "480"),
        ("HEARTBEAT_SECONDS", "0.1", "30"),
    ],
)
def test_ranges_include_their_ends(name, least, most):
    """Both ends of a range are allowed, and the refusal beyond tells them."""
    for value in (least, most):
        assert getattr(read(**{name: value}), name.lower()) == float(value)
    assert refusal(**{name: "9999"}).endswith(f"from {least} to {most}")


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("FALSE", False), ("1", True), ("0", False), (" True ", True)]
)
def test_flags(value, expected):
    """Flags are true or false in the spellings that portals and people use."""
    assert read(VERIFY_DELETES=value).verify_deletes is expected
    assert read(RECONCILE_ON_START=value).reconcile_on_start is expected


def test_no_listing_at_each_start_in_azure():
    """In Azure instances come and go: there the start lists nothing unless it is asked to."""
    assert read(WEBSITE_SITE_NAME="4f1b", **IDENTITY).reconcile_on_start is False
    assert read(WEBSITE_SITE_NAME="4f1b", RECONCILE_ON_START="true", **IDENTITY).reconcile_on_start is True


def test_azure_needs_a_storage_account():
    """The emulator is a default for a desk only: in Azure a forgotten account stops the start."""
    assert "STORAGE__blobServiceUri" in refusal(WEBSITE_SITE_NAME="4f1b")


def test_identity():
    """With the two addresses the app signs in with an identity and holds no secret."""
    assert read(**IDENTITY).storage == Connection("", *IDENTITY.values())
    assert read(**IDENTITY, STORAGE__clientId="1234").storage.client_id == "1234"


@pytest.mark.parametrize("missing", sorted(IDENTITY))
def test_half_an_identity(missing):
    """One address without the other is refused, naming the missing one."""
    assert missing in refusal(**{name: value for name, value in IDENTITY.items() if name != missing})


@pytest.mark.parametrize(
    "name",
    [
        "STORAGE__accountName",
        "STORAGE__serviceUri",
        "STORAGE__queueServiceUri",
        "STORAGE__credential",
        "STORAGE__blobServiceUrl",
        "storage__serviceuri",
        "STORAGE__",
        "STORAGE:blobServiceUri",
    ],
)
@pytest.mark.parametrize("others", [{}, IDENTITY, {"STORAGE": "UseDevelopmentStorage=true"}])
def test_unknown_storage_settings(name, others):
    """A name that would be ignored, so that another account is counted, is refused with the names that are read."""
    found = refusal(**others, **{name: "caseimages"})
    assert found.startswith(f"{name} is not a setting")
    assert {"STORAGE__blobServiceUri", "STORAGE__tableServiceUri"} <= set(found.split())


def test_other_names_are_not_storage_settings():
    """What only resembles them is somebody else's, and an empty value counts as not set."""
    others = {"STORAGE_ACCOUNT": "caseimages", "STORAGE__accountName": " ", "AzureWebJobsStorage__accountName": "host"}
    assert read(**others) == read()


def test_a_schedule_is_read_as_the_platform_reads_it():
    """Blanks at its ends do not matter; a tab, which the platform refuses, is not stripped out of sight."""
    assert read(RECONCILE_SCHEDULE=" 0 0 * * * * ").reconcile_schedule == "0 0 * * * *"
    assert "blanks only" in refusal(RECONCILE_SCHEDULE="\t0 0 * * * *")
    assert "backwards" in refusal(RECONCILE_SCHEDULE="0 0 22-2 * * *")


def test_two_ways_to_storage():
    """A connection string and addresses at once are refused instead of one winning in silence."""
    assert "both set" in refusal(**IDENTITY, STORAGE="UseDevelopmentStorage=true")


def test_secrets_are_not_shown():
    """A connection string that is refused does not stand in the message, which is logged."""
    assert "s3cret" not in refusal(STORAGE="s3cret")


def test_jwt():
    """With jwt issuer, audience and key address are taken as they stand; RS256 and aud are the defaults."""
    issuer, audience, url = (JWT[name] for name in ("JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS_URL"))
    assert read(**JWT).jwt == JwtSettings(issuer, (audience,), url, ("RS256",), "aud", ())
    assert read(**JWT, JWT_ALGORITHMS="RS256, ES256").jwt == JwtSettings(issuer, (audience,), url, ("RS256", "ES256"))
    assert read(**(JWT | {"AUTH_MODE": "function"})).jwt is None


@pytest.mark.parametrize("mode", ["anonymous", "function"])
def test_settings_of_tokens_are_read_with_jwt_only(mode: str) -> None:
    """Whatever they are: who tries without tokens does not have to take them out."""
    wrong = {name: "a b" for name in documented() if name.startswith("JWT_")}
    assert read(AUTH_MODE=mode, **wrong) == read(AUTH_MODE=mode)


def test_a_heartbeat_comes_before_the_client_gives_a_stream_up() -> None:
    """With a margin for the way; both figures are in the code."""
    found = re.search(r"STREAM_SILENCE_MS = ([0-9_]+);", (ROOT / "client" / "src" / "protocol.ts").read_text())
    assert found is not None
    assert int(found[1]) / 1000 >= LONGEST_HEARTBEAT_SECONDS + 5


def jwt_of(**changed: str) -> JwtSettings:
    """Return what a token must be, with some of the settings changed."""
    found = read(**(JWT | changed)).jwt
    assert found is not None
    return found


def test_several_audiences():
    """JWT_AUDIENCE may list several."""
    assert jwt_of(JWT_AUDIENCE="api://a, b ,,c").audiences == ("api://a", "b", "c")


def test_other_claims():
    """Another claim can say whom a token is for, and more claims can be required; a value may have any character."""
    found = jwt_of(JWT_AUDIENCE_CLAIM="client_id", JWT_REQUIRED_CLAIMS="token_use=access, scope = counts.read,a=b=c")
    assert found.audience_claim == "client_id"
    assert found.required_claims == (("token_use", "access"), ("scope", "counts.read"), ("a", "b=c"))


@pytest.mark.parametrize("missing", ["JWT_ISSUER", "JWT_AUDIENCE"])
@pytest.mark.parametrize("claim", ["aud", "client_id"])
def test_half_of_jwt(missing, claim):
    """Issuer and audience are always needed, whatever the claim is; the one that is missing is named."""
    assert refusal(**(JWT | {missing: " ", "JWT_AUDIENCE_CLAIM": claim})).startswith(missing)


@pytest.mark.parametrize(
    "url", ["https://login.example.com", "https://x/tenant/v2.0", "http://127.0.0.1:1/", "HTTPS://x"]
)
def test_discovery(url):
    """Without an address of the keys the issuer's own has to be one at which it can be asked."""
    assert jwt_of(JWT_ISSUER=url, JWT_JWKS_URL="").jwks_url == ""


@pytest.mark.parametrize(
    "issuer", ["accounts", "http://login.example.com", "https://x/?a=b", "https://x/#a", "urn:x:y"]
)
def test_no_discovery(issuer):
    """An issuer that cannot be asked needs the address of its keys; with it any name will do."""
    assert refusal(**(JWT | {"JWT_ISSUER": issuer, "JWT_JWKS_URL": ""})).startswith("JWT_JWKS_URL")
    assert jwt_of(JWT_ISSUER=issuer).issuer == issuer


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("JWT_ALGORITHMS", ["HS256", "RS256,none", "rs256", "RS256,", "ES256K", "RS256 ES256"]),
        (
            "JWT_JWKS_URL",
            [
                "http://login.example.com/jwks.json",
                "http://localhost.example.com/jwks.json",
                "http://127.0.0.1:80@login.example.com/jwks.json",
                "http://localhost:x@login.example.com/",
                "https://user:password@login.example.com/",
                "https://",
                "https:///jwks.json",
                "https://a:b/",
                "https://login.example.com/a b",
                "https://login.example.com\\@localhost/",
                "//login.example.com/jwks.json",
                "ftp://localhost/keys",
                "file:///etc/keys",
            ],
        ),
        ("JWT_AUDIENCE", [",", " , "]),
        ("JWT_AUDIENCE_CLAIM", ["aud,azp", "aud azp", "aud=x"]),
        ("JWT_REQUIRED_CLAIMS", ["scope", "=read", "scope=", "a=b,scope", " = "]),
    ],
)
def test_wrong_jwt(name, values):
    """Shared secrets, no signature, keys from afar in clear text, and what says nothing, are refused."""
    for value in values:
        assert refusal(**(JWT | {name: value})).startswith(name), value


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/jwks",
        "http://127.0.0.1/jwks",
        "http://localhost",
        "https://login.example.com/jwks",
        "https://login.example.com:8443/jwks?p=b2c_1",
    ],
)
def test_where_keys_may_be(url):
    """Keys come over https, or from this machine."""
    assert jwt_of(JWT_JWKS_URL=url).jwks_url == url


def test_origins():
    """Origins are taken without the slash that people copy along."""
    origins = read(CORS_ORIGINS="https://app.example.com/, http://localhost:8081 ,").cors_origins
    assert origins == ("https://app.example.com", "http://localhost:8081")
    assert read(CORS_ORIGINS="*").cors_origins == ("*",)


OWN_PORTS = {"http": "80", "https": "443"}


@given(
    st.sampled_from(["http", "https", "capacitor", "moz-extension"]),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?(\.[a-z][a-z0-9]{0,9}){0,3}", fullmatch=True),
    st.one_of(st.none(), st.integers(1, 65535)),
    st.sampled_from(["/x", "?x", "#x", "/x/", "/?", ":", "user@"]),
)
def test_an_origin_is_taken_as_browsers_send_it(scheme, host, port, added):
    """With a port unless it is the scheme's own; anything more, which would match no page, is refused."""
    own = OWN_PORTS.get(scheme)
    port = None if str(port) == own else port
    origin = f"{scheme}://{host}" + (f":{port}" if port else "")
    assert read(CORS_ORIGINS=f"{origin}/, {origin.upper()}").cors_origins == (origin, origin)
    wrong = origin.replace("//", "//user@") if added == "user@" else origin + added
    if added != ":" or port is None:
        assert f"write {origin}, or" in refusal(CORS_ORIGINS=wrong)
    if own and port is None:
        assert f"write {origin}, or" in refusal(CORS_ORIGINS=f"{origin}:{own}")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://b\u00fccher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://[0:0::1]:3000", "https://[::1]:3000"),
        ("https://app.example.com:0443", "https://app.example.com"),
        ("https://fa\u00df.example", "https://app.example.com"),
        ("https://*.example.com", "https://app.example.com"),
        ("https://app.example.com:99999", "https://app.example.com"),
        ("https://[::1", "https://app.example.com"),
        ("https://[fe80::1%25eth0]", "https://app.example.com"),
        ("https://ex%61mple.com", "https://app.example.com"),
        ("https://a..b", "https://app.example.com"),
        ("null", "https://app.example.com"),
    ],
)
def test_what_no_browser_sends_is_refused(written, sent):
    """With what is sent in its place, or an example where nothing is."""
    assert f"write {sent}, or" in refusal(CORS_ORIGINS=f"https://good.example, {written}")


def test_origins_that_are_no_web_pages():
    """An app's own scheme, addresses of a network."""
    origins = ("https://[::1]:3000", "http://127.0.0.1", "https://xn--bcher-kva.example", "capacitor://localhost")
    assert read(CORS_ORIGINS=",".join(origins)).cors_origins == origins


@given(st.dictionaries(st.sampled_from(sorted(names_read())), st.text(max_size=30), max_size=6))
def test_any_environment_is_read_or_refused(environ):
    """Arbitrary values give settings or a SettingsError that names a variable, and nothing else."""
    message = "STORAGE"
    try:
        Settings.from_environ(environ)
    except SettingsError as error:
        message = str(error)
    assert any(name.partition("__")[0] in message for name in names_read())
