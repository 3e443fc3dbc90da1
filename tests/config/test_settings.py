"""Settings: where they are looked for, what accounts there are, and how mistakes are reported."""

from __future__ import annotations

import re
from pathlib import Path

import platformdirs
import pytest
from psycopg.conninfo import conninfo_to_dict

from jobdash.config.paths import default_config_path, default_store_location, store_location
from jobdash.config.settings import Config, SyncSettings, load
from jobdash.domain.account import Account, Secret
from jobdash.domain.cost import ListPrice
from jobdash.domain.text import redact
from jobdash.domain.time import DAY
from jobdash.errors import ConfigError, StoreError
from jobdash.store.bootstrap import ensure_store
from jobdash.store.location import PostgresLocation


def settings(tmp_path: Path, text: str = "", **env: str) -> Config:
    """The settings of a file and an environment."""
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")
    return load(file, str(tmp_path / "jobs.db"), env)


def key(account: Account | None) -> str | None:
    assert account is not None
    return account.api_key and account.api_key.reveal()


def complaint(tmp_path: Path, text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text, **env)
    assert caught.value.exit_code == 5
    place, _, words = str(caught.value).partition(": ")
    assert place == str(tmp_path / "config.toml")
    return words


def mistake(tmp_path: Path, text: str, **env: str) -> str:
    """Why the one account with a mistake is not used, while another one is."""
    name = "second"
    found = settings(
        tmp_path, f'{text}\n[accounts.{name}]\nprovider = "openai"\napi_key_env = "SECOND"', **env
    )
    assert found.account(name) is not None
    (unusable,) = found.unusable
    assert found.account(unusable.name) is None
    assert unusable.name in found.configured
    return str(unusable)


def test_without_keys_there_is_no_account(tmp_path: Path) -> None:
    assert settings(tmp_path).accounts == ()


def test_the_environment_alone_makes_accounts(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        OPENAI_API_KEY="sk-one",
        OPENAI_BASE_URL="http://here/v1",
        GEMINI_API_KEY="two-two",
        GOOGLE_GEMINI_BASE_URL="http://there",
    )
    openai, gemini = found.account("openai"), found.account("gemini")
    assert openai is not None
    assert gemini is not None
    assert (openai.provider, openai.key_env, openai.base_url) == (
        "openai",
        "OPENAI_API_KEY",
        "http://here/v1",
    )
    assert (gemini.provider, gemini.key_env, gemini.base_url) == ("gemini", "GEMINI_API_KEY", "http://there")
    assert (key(openai), key(gemini)) == ("sk-one", "two-two")


def test_of_googles_two_variables_the_first_wins_as_in_its_sdk(tmp_path: Path) -> None:
    both = settings(tmp_path, GOOGLE_API_KEY="first-key", GEMINI_API_KEY="second-key")
    assert key(both.account("gemini")) == "first-key"
    assert len(both.accounts) == 1


def test_an_empty_variable_is_no_key(tmp_path: Path) -> None:
    found = settings(tmp_path, OPENAI_API_KEY="", GOOGLE_API_KEY="", GEMINI_API_KEY="second-key")
    assert [account.name for account in found.accounts] == ["gemini"]


WORK = """
[accounts.work]
provider = "openai"
api_key_env = "WORK_KEY"
base_url = "http://work/v1"
api_version = "v1beta"
list_history = "7d"
"""


def test_the_file_adds_accounts(tmp_path: Path) -> None:
    found = settings(tmp_path, WORK, OPENAI_API_KEY="sk-one", WORK_KEY="sk-work")
    work = found.account("work")
    assert work is not None
    assert [account.name for account in found.accounts] == ["openai", "work"]
    assert (work.base_url, work.api_version, work.list_history_ms) == ("http://work/v1", "v1beta", 7 * DAY)
    assert key(work) == "sk-work"


def test_an_account_whose_variable_is_not_set_exists_without_a_key(tmp_path: Path) -> None:
    assert key(settings(tmp_path, WORK).account("work")) is None


def test_the_file_changes_or_switches_off_what_the_environment_made(tmp_path: Path) -> None:
    off = settings(tmp_path, "[accounts.openai]\nenabled = false", OPENAI_API_KEY="sk-one")
    changed = settings(
        tmp_path, '[accounts.openai]\nbase_url = "http://else/v1"', OPENAI_API_KEY="sk-one"
    ).account("openai")
    assert off.accounts == ()
    assert changed is not None
    assert (changed.base_url, key(changed)) == ("http://else/v1", "sk-one")


@pytest.mark.parametrize(
    ("table", "server"),
    [
        ('[accounts.openai]\nprovider = "anthropic"', ("anthropic", None)),
        ('[accounts.openai]\nprofile = "groq"', ("openai", "groq")),
        ('[accounts.gemini]\nprovider = "openai"\nprofile = "together"', ("openai", "together")),
        ('[accounts.azure]\nprovider = "openai"\nprofile = "groq"', ("openai", "groq")),
        ('[accounts.azure]\nprovider = "mistral"', ("mistral", None)),
        ("[accounts.openai]", ("openai", None)),
        ('[accounts.openai]\nprovider = "openai"', ("openai", None)),
        ('[accounts.azure]\nprovider = "openai"', ("openai", None)),
    ],
)
def test_a_key_never_goes_to_an_address_of_the_environment_that_is_of_another_key(
    tmp_path: Path, table: str, server: tuple[str, str | None]
) -> None:
    env = {
        "OPENAI_API_KEY": "sk-one",
        "OPENAI_BASE_URL": "http://proxy/v1",
        "GEMINI_API_KEY": "two-two",
        "GOOGLE_GEMINI_BASE_URL": "http://there",
        "AZURE_OPENAI_API_KEY": "az-key-az-key",
        "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com",
    }
    found = settings(tmp_path, f'{table}\napi_key_env = "MYKEY"', **env, MYKEY="my-own-key")
    (mine,) = (account for account in found.accounts if account.key_env == "MYKEY")
    assert (mine.provider, mine.profile, mine.base_url, key(mine)) == (*server, None, "my-own-key")


@pytest.mark.parametrize(
    "table", ['provider = "anthropic"', 'profile = "groq"', 'base_url = "https://api.groq.com/openai/v1"']
)
def test_a_key_of_the_environment_never_goes_to_another_provider(tmp_path: Path, table: str) -> None:
    words = mistake(tmp_path, f"[accounts.openai]\n{table}", OPENAI_API_KEY="sk-one")
    assert "it wants api_key_env, the environment variable that holds the key" in words


def test_an_address_of_the_environment_stays_with_its_key(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-one", "OPENAI_BASE_URL": "http://here/v1"}
    for line in ("auto_fetch = true", 'provider = "openai"', 'api_key_env = "OPENAI_API_KEY"'):
        same = settings(tmp_path, f"[accounts.openai]\n{line}", **env).account("openai")
        assert same is not None
        assert (same.base_url, key(same)) == ("http://here/v1", "sk-one")
    other = settings(tmp_path, '[accounts.openai]\napi_key_env = "MYKEY"', **env, MYKEY="my-own-key")
    assert "the address of the environment is not used: it goes with OPENAI_API_KEY" in other.warnings[0]
    # Which server its key is for, only its owner can say.
    azure = mistake(
        tmp_path,
        '[accounts.azure]\napi_key_env = "MYKEY"',
        AZURE_OPENAI_API_KEY="az-key-az-key",
        AZURE_OPENAI_ENDPOINT="https://r.openai.azure.com",
    )
    assert "profile 'azure' wants base_url" in azure


def test_a_key_in_the_file_is_refused_and_never_repeated(tmp_path: Path) -> None:
    words = mistake(tmp_path, '[accounts.work]\nprovider = "openai"\napi_key = "sk-in-the-file"')
    assert words == (
        "account work is not used: a key does not belong in the file; put it in the environment and name the "
        'variable: api_key_env="WORK_KEY"'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("= broken", "Invalid statement (at line 1, column 1)"),
        ("accounts = 3", "[accounts] has to hold tables like [accounts.work]"),
        ("database = 5", "database has to be a text: the path of the store"),
        ("results = 5", "[results] has to be a table"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    assert complaint(tmp_path, text) == words


@pytest.mark.parametrize(
    ("text", "table", "words"),
    [
        ("[ui]\ntheme = 7", "ui", "theme has to be a text"),
        ("ui = 3", "ui", "has to be a table"),
        ('[ui]\ncolumns = "name"', "ui", "columns has to be a list of texts"),
        ('[ui]\nascii = "yes"', "ui", "ascii has to be true or false"),
        ("[keys]\nx = 3", "keys", 'has to hold lines like "job.cancel" = "ctrl+x"'),
        ('[sync]\nfastest = "x"', "sync", "fastest: 'x' is not a span of time (like 30s, 5m, 2h, 3d)"),
        ('[sync]\nfastest = "0s"', "sync", "fastest has to be at least 1s, and slowest no less than fastest"),
        (
            '[sync]\nfastest = "1m"\nslowest = "30s"',
            "sync",
            "fastest has to be at least 1s, and slowest no less than fastest",
        ),
        ("[worker]\nconcurrency = 0", "worker", "concurrency has to be a whole number from 1 to 1,000"),
        ("[worker]\nconcurrency = true", "worker", "concurrency has to be a whole number from 1 to 1,000"),
        ("[worker]\nengine = 3", "worker", "engine has to be a text: the name of an engine"),
        ("[worker]\npoll = '0.01s'", "worker", "poll has to be at least 0.05s"),
    ],
)
def test_a_mistake_in_a_table_leaves_its_defaults_and_everything_else(
    tmp_path: Path, text: str, table: str, words: str
) -> None:
    found = settings(tmp_path, f"{text}\n{WORK}")
    assert [str(each) for each in found.faulty] == [f"[{table}] is not used: {words}"]
    assert getattr(found, table) == getattr(settings(tmp_path), table)
    assert [account.name for account in found.accounts] == ["work"]


NAMED = "its name has to be up to 32 letters, digits, - _ and ."


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("accounts.work = 3", "work", "[accounts.work] has to be a table"),
        ('[accounts."a b"]', "a b", NAMED),
        ('[accounts."\\u001b[2J"]', "␛[2J", NAMED),
        (
            '[accounts.w]\nprovider="openai"',
            "w",
            "it wants api_key_env, the environment variable that holds the key",
        ),
        ('[accounts.openai]\nenabled = "false"', "openai", "enabled has to be true or false"),
        ('[accounts.w]\nprovider="openai"\napi_key_env=3', "w", "api_key_env has to be a text"),
        (
            WORK.replace("7d", "soon"),
            "work",
            "list_history: 'soon' is not a span of time (like 30s, 5m, 2h, 3d)",
        ),
        (
            '[accounts.w]\nprovider = "gemini"\nprofile = "groq"\napi_key_env = "W"',
            "w",
            (
                "profile 'groq' belongs to accounts with provider = \"openai\", servers with the API of "
                'OpenAI; this one has provider = "gemini"'
            ),
        ),
        (
            '[accounts.w]\nprovider = "mistral"\nprofile = "nimbus"\napi_key_env = "W"',
            "w",
            (
                "profile 'nimbus' is not known; profiles belong to accounts with provider = \"openai\", and "
                'this one has provider = "mistral"'
            ),
        ),
    ],
)
def test_a_mistake_in_one_account_ends_that_account_alone(
    tmp_path: Path, text: str, name: str, words: str
) -> None:
    assert mistake(tmp_path, text) == f"account {name} is not used: {words}"


def test_a_mistake_in_the_table_of_an_account_of_the_environment_ends_that(tmp_path: Path) -> None:
    found = settings(
        tmp_path, "[accounts.openai]\nmax_requests = 0", OPENAI_API_KEY="sk-one", MISTRAL_API_KEY="two-two"
    )
    assert [account.name for account in found.accounts] == ["mistral"]
    assert [(each.name, each.provider) for each in found.unusable] == [("openai", "openai")]


def test_a_table_of_the_scripts_own_account_is_a_warning(tmp_path: Path) -> None:
    found = settings(tmp_path, '[accounts.local]\nprovider = "openai"')
    assert (found.account_names, found.unusable) == (("local",), ())
    assert found.warnings[0].endswith("[accounts.local] is not used: that name is taken by your own scripts")


def test_a_password_in_an_address_is_left_out_and_the_key_works(tmp_path: Path) -> None:
    url = "https://bob:hunter2@gateway.example/v1"
    work = WORK.replace("http://", "http://bob:hunter2@")
    found = settings(tmp_path, work, OPENAI_API_KEY="sk-one", OPENAI_BASE_URL=url)
    addresses = {account.name: account.base_url for account in found.accounts}
    assert addresses == {"openai": "https://gateway.example/v1", "work": "http://work/v1"}
    assert len([words for words in found.warnings if "user name" in words]) == 2
    assert "OPENAI_BASE_URL: the user name or password in the address is left out" in found.warnings[0]
    assert not any("hunter2" in warning for warning in found.warnings)


def test_blanks_around_a_key_or_an_address_are_not_part_of_it(tmp_path: Path) -> None:
    found = settings(
        tmp_path, OPENAI_API_KEY=" mykey-12345678\n", OPENAI_BASE_URL=" http://here/v1 ", GEMINI_API_KEY="\n"
    )
    account = found.account("openai")
    assert key(account) == "mykey-12345678"
    assert account is not None
    assert account.base_url == "http://here/v1"
    assert "mykey" not in redact("the server said: mykey-12345678 is not a key")
    assert found.account("gemini") is None


def test_an_unknown_setting_is_a_warning(tmp_path: Path) -> None:
    found = settings(tmp_path, f'[colour]\nx = 1\n[ui]\nfont = "big"\n{WORK}speed = "fast"')
    place = tmp_path / "config.toml"
    assert sorted(found.warnings) == [
        (
            f"{place}: [accounts.work] api_version is not used by openai: the version is a part of base_url"
            " (…/v1, or …?api-version=…)"
        ),
        (
            f"{place}: [accounts.work] speed is not known; there are provider, api_key_env, base_url,"
            " api_version, organization, project, headers, list_history, enabled,"
            " auto_fetch, keep_input, max_requests, max_bytes, enqueued_limit, profile, completion_window,"
            " files_expire"
        ),
        f"{place}: [colour] is not known",
        f"{place}: [ui] font is not known; there are theme, columns, sort, ascii",
    ]


def test_all_settings_have_a_place(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        '[ui]\ntheme = "dark"\ncolumns = ["name", "status"]\nsort = "-total"\nascii = true\n'
        '[keys]\n"job.cancel" = "ctrl+x"\n[sync]\nfastest = "30s"\nslowest = "5m"',
    )
    assert (found.ui.theme, found.ui.columns, found.ui.sort, found.ui.ascii) == (
        "dark",
        ("name", "status"),
        "-total",
        True,
    )
    assert found.keys == {"job.cancel": "ctrl+x"}
    assert found.sync == SyncSettings(30_000, 300_000)
    assert found.warnings == ()


def test_a_file_that_was_named_has_to_exist_and_another_need_not(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.toml"
    for named in (lambda: load(nowhere, env={}), lambda: load(env={"JOBDASH_CONFIG": str(nowhere)})):
        with pytest.raises(ConfigError, match="no such file") as caught:
            named()
        assert caught.value.exit_code == 5


def test_a_variable_that_is_empty_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    home = {"JOBDASH_CONFIG": "", "JOBDASH_DATABASE": ""}
    assert not load(env=home).exists
    file = tmp_path / "jobdash" / "config.toml"
    file.parent.mkdir()
    file.write_text(f'database = "{tmp_path}/mine.db"')
    assert load(env=home).database == tmp_path / "mine.db"


def test_a_home_of_an_unknown_user_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no user's home folder is called ~nosuchuser"):
        load(database="~nosuchuser/x.db", env={})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d/e/"},
        {"XDG_CONFIG_HOME": "", "XDG_DATA_HOME": " "},
        {"XDG_CONFIG_HOME": "here", "XDG_DATA_HOME": "~/x"},
        {"HOME": "/h"},
        {"HOME": "h"},
        {"HOME": ""},
    ],
)
def test_without_a_word_they_are_where_the_system_has_such_files(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_config_path({}) == platformdirs.user_config_path("jobdash") / "config.toml"
    assert default_store_location({}) == platformdirs.user_data_path("jobdash") / "jobdash.db"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "config.toml", env={})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, env={})


def test_variables_say_where_file_and_store_are(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('database = "/from/the/file.db"', "utf-8")
    env = {"JOBDASH_CONFIG": str(file), "JOBDASH_DATABASE": "/from/the/variable.db"}
    assert default_config_path(env) == file
    assert default_store_location(env) == Path("/from/the/variable.db")
    assert load(env=env).database == Path("/from/the/variable.db")
    assert load(env={"JOBDASH_CONFIG": str(file)}).database == Path("/from/the/file.db")
    assert load(None, "/named.db", env).database == Path("/named.db")


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("/a/b.db", "/a/b.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("~/b.db", str(Path("~/b.db").expanduser())),
        ("b.db", str(Path("b.db").absolute())),
    ],
)
def test_a_store_is_a_path_or_an_sqlite_url(named: str, path: str) -> None:
    assert store_location(named) == Path(path)


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("postgresql://db.example/jobs", "postgresql://db.example/jobs?schema=jobdash"),
        ("postgres://ann@db:5433/jobs?schema=team", "postgresql://ann@db:5433/jobs?schema=team"),
        (
            "postgresql:///jobs?host=/run/pg&schema=a_1&sslmode=verify-full",
            "postgresql:///jobs?host=/run/pg&sslmode=verify-full&schema=a_1",
        ),
    ],
)
def test_a_store_is_an_address_of_postgresql(named: str, shown: str) -> None:
    found = store_location(named)
    assert str(found) == shown
    assert store_location(shown) == found, "what is shown can be given again"
    assert load(env={"JOBDASH_DATABASE": named}).database == found
    assert load(env={"JOBDASH_DATABASE": named, "HOME": "/h"}).store_path.name == "store"


@pytest.mark.parametrize(
    "named",
    [
        "postgresql://ann:canary-secret@db.example/jobs",
        "postgresql://db.example/jobs?user=ann&password=canary-secret",
        "postgresql://db.example/jobs?sslpassword=canary-secret",
        "postgresql://db.example/jobs?oauth_client_secret=canary-secret",
        "postgresql://db.example/jobs?scram_client_key=canary-secret",
        "postgresql://db.example/jobs?scram_server_key=canary-secret",
        "POSTGRESQL://ann:canary-secret@db.example/jobs",
        "Postgres://ann:canary-secret@db.example/jobs",
        "postgresql://ann:canary-secret@[db.example/jobs",
        "postgresql://ann%3Acanary-secret@db.example/jobs",
        "postgresql://ann:canary%2Dsecret@db.example/jobs",
        "postgresql://ann:canary-secret/jobs",
        "postgresql://ann:1/canary-secret@db.example/jobs",
        "postgresql://ann:1?canary-secret@db.example/jobs",
        "postgresql://ann:1#canary-secret@db.example/jobs",
        "postgresql://db.example/jobs#canary-secret",
        "postgresql://db.example/jobs?passwort=canary-secret",
        "postgresql://db.example/jobs?PASSWORD=canary-secret",
        "postgresql://db.example/jobs?pass%77ord=canary-secret",
        "postgresql://db.example/jobs?sslmode=prefer;password=canary-secret",
        "postgresql:/ann:canary-secret@db.example/jobs",
        "postgresql:ann:canary-secret@db.example/jobs",
        " postgresql://ann:canary-secret@db.example/jobs",
        "jdbc:postgresql://ann:canary-secret@db.example/jobs",
        "host=db.example user=ann password=canary-secret",
    ],
)
def test_an_address_with_a_password_is_refused_without_a_word_of_it(named: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'database = "{named}"', "utf-8")
    for wrong in ((None, named, {}), (file, None, {}), (None, None, {"JOBDASH_DATABASE": named})):
        with pytest.raises(ConfigError) as raised:
            load(*wrong)
        assert "canary" not in str(raised.value)
        assert raised.value.exit_code == 5


@pytest.mark.parametrize("named", ["mysql://ann:canary@db/jobs", "postgresql+psycopg://ann:canary@db/jobs"])
def test_of_the_url_of_another_database_the_scheme_is_kept(named: str) -> None:
    found = load(env={"JOBDASH_DATABASE": named}).database
    assert "canary" not in str(found)
    with pytest.raises(StoreError, match=f"^{re.escape(named.partition(':')[0])}://… cannot be used"):
        ensure_store(found)


@pytest.mark.parametrize(
    "named",
    [
        "postgresql://",
        "postgresql:///jobs",
        "postgresql://db1:5432,db2:5433/jobs?target_session_attrs=read-write",
        "postgresql://ann@[2001:db8::1]:5433/jobs",
        "postgresql://ann%40realm@db.example/my%2Fjobs?passfile=/home/a@b/pass&application_name=x",
        "postgresql://%2Frun%2Fpostgresql/jobs",
    ],
)
def test_every_address_that_libpq_reads_is_read(named: str) -> None:
    found = store_location(named)
    assert isinstance(found, PostgresLocation)
    assert conninfo_to_dict(found.url) == conninfo_to_dict(named)


@pytest.mark.parametrize("schema", ["Jobs", "a b", "a;b", 'a"b', "", "ä", "1a"])
def test_a_schema_has_a_plain_name(schema: str) -> None:
    with pytest.raises(ConfigError, match="small letters"):
        store_location(f"postgresql://db.example/jobs?schema={schema}")


def test_a_secret_is_hidden() -> None:
    secret = Secret("sk-very-secret")
    account = Account("work", "openai", "WORK_KEY", secret)
    for shown in (repr(secret), str(secret), f"{secret}", repr(account), f"{account!r}", f"{[secret]}"):
        assert "very" not in shown
    assert secret.reveal() == "sk-very-secret"


def test_a_setting_that_its_provider_does_not_use_is_a_warning(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "[accounts.lab]\nprovider = 'gemini'\napi_key_env = 'LAB'\nproject = 'p'\norganization = 'o'\n"
        "list_history = '7d'\n",
    )
    assert [words.split("] ")[1].split(":")[0] for words in found.warnings] == [
        "organization is not used by gemini",
        "project is not used by gemini",
        "list_history is not used by gemini",
    ]


def test_headers_organization_project_and_the_default_account(tmp_path: Path) -> None:
    text = f"""default_account = "work"
{WORK}organization = "org-1"
project = "proj_1"
headers = {{ "X-Team" = "search", "api-key" = "env:GATEWAY", "X-Missing" = "env:NOWHERE" }}
"""
    found = settings(tmp_path, text, GATEWAY="canary-0123456789")
    account = found.account("work")
    assert found.default_account == "work"
    assert account is not None
    assert (account.organization, account.project) == ("org-1", "proj_1")
    assert [(header.name, header.reveal()) for header in account.headers] == [
        ("X-Team", "search"),
        ("api-key", "canary-0123456789"),
    ]
    assert "canary" not in repr(account)
    assert "canary" not in redact("said: canary-0123456789")
    assert any("NOWHERE is not set, so that X-Missing is not sent" in words for words in found.warnings)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('"X-Api-Key" = "abc"', '"X-Api-Key" = "env:NAME"'),
        ('"Authorization" = "Basic abc"', "a key does not belong in the file"),
        ('"X-Thing" = "sk-abcdefghijklmnop"', "a key does not belong in the file"),
        ('"X-Thing" = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"', "a key does not belong in the file"),
        ('"Cookie" = "a=b"', "a key does not belong in the file"),
        ('"X Y" = "a"', "is not a header that can be set"),
        ('"Host" = "elsewhere"', "is not a header that can be set"),
        ('"X-Y" = "a\\nb"', "characters that no header can have"),
        ('"X-Y" = 3', "headers has to be a table of texts"),
    ],
)
def test_a_header_that_cannot_be_sent_or_is_a_key_is_refused(tmp_path: Path, header: str, words: str) -> None:
    told = mistake(tmp_path, f"{WORK}headers = {{ {header} }}")
    assert words in told
    assert told.startswith("account work is not used: headers")


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        (
            'provider = "bedrock"',
            "no provider 'bedrock' is installed; there are openai, gemini, anthropic, mistral",
        ),
        ("", "provider has to be one of openai, gemini, anthropic, mistral"),
        (
            'provider = "\\u001b[2J"',
            "no provider '␛[2J' is installed; there are openai, gemini, anthropic, mistral",
        ),
    ],
)
def test_an_account_without_a_provider_leaves_the_others_alone(
    tmp_path: Path, provider: str, reason: str
) -> None:
    found = settings(tmp_path, f'default_account = "home"\n{WORK}\n[accounts.home]\n{provider}')
    assert [account.name for account in found.accounts] == ["work"]
    (unusable,) = found.unusable
    assert str(unusable) == f"account home is not used: {reason}"
    assert found.default_account == "home"
    assert not any("home" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("gemini", "no key: set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("openai", "no key: set OPENAI_API_KEY"),
        ("azure", "no key or no address: set AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT"),
    ],
)
def test_a_table_for_an_account_of_the_environment_names_the_variable_that_is_missing(
    tmp_path: Path, name: str, variables: str
) -> None:
    found = settings(tmp_path, f"[accounts.{name}]\nmax_requests = 5")
    (unusable,) = found.unusable
    assert str(unusable) == f"account {name} is not used: {variables}"


def test_a_default_account_that_there_is_not_is_a_warning(tmp_path: Path) -> None:
    found = settings(tmp_path, f'default_account = "home"\n{WORK}')
    assert found.default_account is None
    assert any("default_account: no account 'home'; there are work" in words for words in found.warnings)


def test_a_default_account_is_none_of_those_that_are_not_used(tmp_path: Path) -> None:
    text = f'default_account = "nix"\n{WORK}[accounts.home]\nprovider = "grok"\napi_key_env = "HOME_KEY"'
    warnings = settings(tmp_path, text).warnings
    assert any(words.endswith("default_account: no account 'nix'; there are work") for words in warnings)


def test_a_key_in_the_query_of_an_address_is_sent_and_never_shown(tmp_path: Path) -> None:
    url = "https://host/openai?api-version=2025-01-01&subscription-key=canary-555"
    found = settings(tmp_path, OPENAI_API_KEY="sk-one", OPENAI_BASE_URL=url)
    account = found.account("openai")
    assert account is not None
    assert account.base_url == url
    assert account.shown_url == "https://host/openai?api-version=2025-01-01&subscription-key=[secret]"
    assert "canary-555" not in redact("refused: canary-555")


def test_results_are_fetched_and_inputs_kept_as_the_settings_say(tmp_path: Path) -> None:
    found = settings(tmp_path, WORK)
    account = found.account("work")
    assert account is not None
    assert (account.auto_fetch, account.keep_input) == (False, True)
    assert found.results_folder == found.database.parent / "results"
    found = settings(
        tmp_path, f'[results]\nfolder = "{tmp_path}/r"\n{WORK}auto_fetch = true\nkeep_input = false'
    )
    account = found.account("work")
    assert account is not None
    assert (account.auto_fetch, account.keep_input) == (True, False)
    assert found.results_folder == tmp_path / "r"


@pytest.mark.parametrize("line", ['auto_fetch = "yes"', "keep_input = 1"])
def test_a_switch_is_true_or_false(tmp_path: Path, line: str) -> None:
    assert "has to be true or false" in mistake(tmp_path, f"{WORK}{line}")


def test_a_folder_is_a_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has to be"):
        settings(tmp_path, "[results]\nfolder = 3")


def test_an_account_may_have_limits_of_its_own(tmp_path: Path) -> None:
    lines = "max_requests = 100\nmax_bytes = 5_000_000\nenqueued_limit = 2_000_000"
    account = settings(tmp_path, f"{WORK}{lines}").account("work")
    assert account is not None
    assert (account.max_requests, account.max_bytes, account.enqueued_limit) == (100, 5_000_000, 2_000_000)


@pytest.mark.parametrize("value", ['"2M"', "0", "-1", "1.5", "true"])
def test_a_limit_is_a_whole_number(tmp_path: Path, value: str) -> None:
    assert "enqueued_limit has to be a whole number" in mistake(tmp_path, f"{WORK}enqueued_limit = {value}")


PRICES = """
[prices."gpt-x"]
input = 0.5
output = 1.5
cached = 0.1

[prices."embed-x"]
input = 1
"""


def test_own_prices_are_dollars_per_million_tokens_by_model(tmp_path: Path) -> None:
    found = settings(tmp_path, PRICES)
    assert found.prices == {"gpt-x": ListPrice(0.5, 1.5, 0.1), "embed-x": ListPrice(1, 0)}
    assert found.warnings == ()
    assert settings(tmp_path).prices == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prices = 3", '[prices] has to hold tables like [prices."model-name"]'),
        ("[prices]\n'm' = 3", '[prices."m"] has to be a table'),
        ('[prices."m"]\noutput = 1', '[prices."m"] input is missing: dollars per million tokens'),
        (
            '[prices."m"]\ninput = "free"',
            '[prices."m"] input has to be a number of dollars per million tokens, like 0.5',
        ),
        (
            '[prices."m"]\ninput = 1\noutput = -1',
            '[prices."m"] output has to be a number of dollars per million tokens, like 0.5',
        ),
        (
            '[prices."m"]\ninput = true',
            '[prices."m"] input has to be a number of dollars per million tokens, like 0.5',
        ),
        (
            '[prices."m"]\ninput = inf',
            '[prices."m"] input has to be a number of dollars per million tokens, like 0.5',
        ),
    ],
)
def test_a_price_that_is_none_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    found = settings(tmp_path, text)
    (table,) = found.faulty
    assert (table.name, found.prices) == ("prices", None)
    assert str(table) == f"[prices] is not used: {words.removeprefix('[prices] ')}"


def test_an_unknown_part_of_a_price_is_warned_about(tmp_path: Path) -> None:
    (warning,) = settings(tmp_path, '[prices."m"]\ninput = 1\nimage = 3').warnings
    assert warning.endswith('[prices."m"] image is not known; there are input, output, cached')


# ── profiles ───────────────────────────────────────────────────────────────────────────────────────────────

AT_OPENAI = '[accounts.work]\nprovider = "openai"\napi_key_env = "WORK_KEY"\n'


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("https://res.openai.azure.com/", "https://res.openai.azure.com/openai/v1"),
        ("https://res.openai.azure.com", "https://res.openai.azure.com/openai/v1"),
        (
            "https://res.openai.azure.com?api-version=preview",
            "https://res.openai.azure.com/openai/v1?api-version=preview",
        ),
        ("https://gateway.example/azure/v1", "https://gateway.example/azure/v1"),
    ],
)
def test_azure_is_an_account_by_its_key_and_its_endpoint(tmp_path: Path, endpoint: str, address: str) -> None:
    found = settings(tmp_path, AZURE_OPENAI_API_KEY="az-key-az-key", AZURE_OPENAI_ENDPOINT=endpoint)
    (azure,) = found.accounts
    assert (azure.name, azure.provider, azure.profile) == ("azure", "openai", "azure")
    assert (azure.key_env, key(azure)) == ("AZURE_OPENAI_API_KEY", "az-key-az-key")
    assert azure.base_url == address


def test_azure_is_none_without_an_endpoint_and_beside_openai_where_it_has_one(tmp_path: Path) -> None:
    assert settings(tmp_path, AZURE_OPENAI_API_KEY="az-key-az-key").accounts == ()
    env = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "OPENAI_API_KEY": "sk-one"}
    assert settings(tmp_path, **env).account_names == ("openai", "local")
    both = settings(tmp_path, **env, AZURE_OPENAI_API_KEY="az-key-az-key")
    assert both.account_names == ("openai", "azure", "local")
    off = settings(tmp_path, "[accounts.azure]\nenabled = false", **env, AZURE_OPENAI_API_KEY="az-key-az-key")
    assert off.account_names == ("openai", "local")


@pytest.mark.parametrize(
    ("name", "missing"),
    [("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"), ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY")],
)
def test_one_of_two_variables_that_make_an_account_is_pointed_out(
    tmp_path: Path, name: str, missing: str
) -> None:
    env = {name: "https://r.openai.azure.com"}
    found = settings(tmp_path, **env)
    assert found.half_set == (f"{name} is set and {missing} is not; both make an account at Azure OpenAI",)
    assert found.warnings == ()  # which each command would print
    assert settings(tmp_path, "[accounts.azure]\nenabled = false", **env).half_set == ()
    assert settings(tmp_path, **env, **{missing: "https://r.openai.azure.com"}).half_set == ()


def test_a_variable_that_an_account_of_the_file_uses_is_not_half_of_another(tmp_path: Path) -> None:
    text = f'{AT_OPENAI}profile = "azure"\nbase_url = "https://r.openai.azure.com"'
    text = text.replace("WORK_KEY", "AZURE_OPENAI_API_KEY")
    assert settings(tmp_path, text, AZURE_OPENAI_API_KEY="az-key-az-key").half_set == ()


def test_an_account_of_the_file_names_its_profile(tmp_path: Path) -> None:
    text = """
        [accounts.fast]
        provider = "openai"
        profile = "groq"
        api_key_env = "GROQ_KEY"
        completion_window = "3d"
        [accounts.mine]
        provider = "openai"
        profile = "azure"
        base_url = "https://mine.openai.azure.com"
        files_expire = "14d"
    """
    found = settings(tmp_path, text, GROQ_KEY="gsk-one", AZURE_OPENAI_API_KEY="az-key-az-key")
    fast, mine = found.account("fast"), found.account("mine")
    assert fast is not None
    assert mine is not None
    assert (fast.profile, fast.base_url, fast.completion_window) == ("groq", None, "3d")
    assert (mine.key_env, mine.base_url) == (
        "AZURE_OPENAI_API_KEY",
        "https://mine.openai.azure.com/openai/v1",
    )
    assert (mine.files_expire_ms, mine.completion_window) == (14 * DAY, None)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('profile = "grok"', "profile 'grok' is not known; there are openai, azure, groq"),
        ('profile = "vllm"', "profile 'vllm' wants base_url, the address of your server"),
        ('profile = "azure"', "profile 'azure' wants base_url"),
        ('completion_window = "7d"', "completion_window: OpenAI takes 24h, not 7d"),
        ('completion_window = "soon"', "completion_window: 'soon' is not a span of time"),
        ('profile = "groq"\ncompletion_window = "8d"', "completion_window: Groq takes 24h to 7d, not 8d"),
        ('profile = "doubleword"\ncompletion_window = "2d"', "Doubleword takes 1h or 24h, not 2d"),
        ('files_expire = "60d"', "files_expire: OpenAI takes 1h to 30d"),
        ('base_url = "https://r.openai.azure.com"\nfiles_expire = "2d"', "Azure OpenAI takes 14d to 30d"),
        ('profile = "groq"\nfiles_expire = "2d"', "files_expire: Groq is not known to take a time"),
        ('base_url = "http://h/v1"\nfiles_expire = "2d"', "files_expire: its server is not known to take"),
        ("profile = 3", "profile has to be a text"),
    ],
)
def test_a_profile_that_does_not_fit_is_named(tmp_path: Path, lines: str, words: str) -> None:
    found = mistake(tmp_path, f"{AT_OPENAI}{lines}", WORK_KEY="sk-one")
    assert found.startswith("account work is not used: ")
    assert words in found


@pytest.mark.parametrize(
    ("profile", "window", "sent", "warned"),
    [
        ("openai", "1d", "24h", False),  # the server compares texts
        ("groq", "48h", "48h", False),  # any between 24h and 7d
        ("groq", "168h", "7d", False),
        ("doubleword", "2h", "2h", True),
    ],
)
def test_a_window_is_sent_as_its_server_writes_it_and_one_that_it_does_not_have_is_warned_of(
    tmp_path: Path, profile: str, window: str, sent: str, warned: bool
) -> None:
    lines = f'{AT_OPENAI}profile = "{profile}"\ncompletion_window = "{window}"'
    found = settings(tmp_path, lines, WORK_KEY="sk-one")
    assert found.accounts[0].completion_window == sent
    words = "[accounts.work] completion_window: Doubleword takes 1h or 24h, not 2h"
    assert [words in each for each in found.warnings] == ([True] if warned else [])


def test_a_server_that_is_not_listed_takes_any_window(tmp_path: Path) -> None:
    found = settings(
        tmp_path, f'{AT_OPENAI}base_url = "http://h/v1"\ncompletion_window = "72h"', WORK_KEY="sk-one"
    )
    assert found.accounts[0].completion_window == "72h"


def test_a_profile_in_the_place_of_a_provider_is_pointed_out(tmp_path: Path) -> None:
    found = settings(tmp_path, '[accounts.fast]\nprovider = "groq"\napi_key_env = "GROQ_KEY"')
    assert 'groq speaks the API of OpenAI: provider = "openai", profile = "groq"' in str(found.unusable[0])


def test_worker_settings_are_read_and_mistakes_are_named(tmp_path: Path) -> None:
    found = settings(tmp_path, "[worker]\nconcurrency = 8\nengine = 'procrastinate'\npoll = '2s'\n").worker
    assert (found.concurrency, found.engine, found.poll_ms) == (8, "procrastinate", 2_000)
    assert settings(tmp_path, "").worker.concurrency == 4
