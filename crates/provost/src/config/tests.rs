//! The configuration, refused and taken.

use std::path::Path;

use provost_gateway::child::Resources;

use super::{
    Config, ConfigError, JournalKind, McpOAuth, McpWay, commented_file, keys, reference,
};
use crate::data_dir::DataDir;

fn config(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::from_parts(&DataDir::new("/d"), Path::new("provost.toml"), text, environment)
        .map_err(|error| match error {
            ConfigError::Faults(faults) => {
                faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            ConfigError::File { .. } => error.to_string(),
        })
}

#[test]
fn faults_name_their_place_and_what_may_have_been_meant() {
    for (text, want) in [
        (
            "[listen]\ngatway = \"x\"",
            "provost.toml:2: there is no key `listen.gatway`; did you mean `listen.gateway`?",
        ),
        (
            "[llm]\nlifetime_max_s = 1",
            "provost.toml:2: there is no key `llm.lifetime_max_s`; did you mean `session.lifetime_max_s`?",
        ),
        ("\n[lisen]\n", "provost.toml:2: there is no section `lisen`; did you mean `listen`?"),
        ("[budget]\n", "provost.toml:1: there is no section `budget`"),
        ("gateway = 1", "provost.toml:1: `gateway` stands outside every section"),
        (
            "[listen]\ngateway = \"localhost\"",
            "provost.toml:2: `listen.gateway` has to be an address such as \"127.0.0.1:8484\"",
        ),
        (
            "[session]\nidle_max_s = \"60\"",
            "provost.toml:2: `session.idle_max_s` has to be a whole number from 1 to 31536000",
        ),
        (
            "[session]\nidle_max_s = 0",
            "provost.toml:2: `session.idle_max_s` has to be a whole number from 1 to 31536000",
        ),
        (
            "[session]\nidle_max_s = -1",
            "provost.toml:2: `session.idle_max_s` has to be a whole number from 1 to 31536000",
        ),
        (
            "[session]\nidle_max_s = 1.5",
            "provost.toml:2: `session.idle_max_s` has to be a whole number from 1 to 31536000",
        ),
        (
            "[listen]\nplain_http_beyond_loopback = 1",
            "provost.toml:2: `listen.plain_http_beyond_loopback` has to be true or false",
        ),
        (
            "[llm]\nupstream = \"api.anthropic.com\"",
            "provost.toml:2: `llm.upstream` has to be an http or https URL without a user or password in it",
        ),
        (
            "[llm]\nupstream = \"https://u:p@x\"",
            "provost.toml:2: `llm.upstream` has to be an http or https URL without a user or password in it",
        ),
        (
            "[approvals]\nwait_s = 3601",
            "provost.toml:2: `approvals.wait_s` has to be a whole number from 0 to 3600",
        ),
        (
            "[approvals]\nexpires_s = 0",
            "provost.toml:2: `approvals.expires_s` has to be a whole number from 1 to 2592000",
        ),
        (
            "[store]\njournal = \"tape\"",
            "provost.toml:2: `store.journal` has to be one of file, sql",
        ),
        (
            "[session]\nidle_max_s = 60\nlifetime_max_s = 59",
            "provost.toml: `session.idle_max_s` has to be at most `session.lifetime_max_s`",
        ),
        ("[tls]\ncert = \"c.pem\"", "provost.toml: `tls.cert` and `tls.key` go together"),
    ] {
        assert_eq!(config(text, &[]).map(|_| ()), Err(want.to_owned()), "text = {text:?}");
    }
    let syntax = config("[listen]\ngateway = ", &[]).unwrap_err();
    assert!(syntax.starts_with("provost.toml:2: not TOML: "), "{syntax}");
}

#[test]
fn every_fault_is_told_at_once() {
    let environment = [("PROVOST_LLM_SECRT", "x"), ("PROVOST_LISTEN_CONTROL", "here")];
    let faults = config("[listen]\na = 1\n[b]\n", &environment).unwrap_err();
    assert_eq!(
        faults,
        "provost.toml:3: there is no section `b`\n\
         provost.toml:2: there is no key `listen.a`\n\
         environment: PROVOST_LLM_SECRT: there is no key `llm.secrt`; did you mean `llm.secret`?\n\
         environment: PROVOST_LISTEN_CONTROL: `listen.control` has to be an address such as \"127.0.0.1:8484\""
    );
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "[listen]\ngateway = \"127.0.0.1:1\"\ncontrol = \"127.0.0.1:2\"\n";
    let environment =
        [("PROVOST_LISTEN_CONTROL", "127.0.0.1:3"), ("PROVOST_TOKEN", "not a setting")];
    let config = config(text, &environment).unwrap();
    assert_eq!(config.listen.gateway.to_string(), "127.0.0.1:1");
    assert_eq!(config.listen.control.to_string(), "127.0.0.1:3");
    assert_eq!(config.store.journal, JournalKind::File);
    assert_eq!(config.master_file, Path::new("/d/keys/master.age"));
}

#[test]
fn plain_http_stays_on_this_machine_unless_told_otherwise() {
    let open = "[listen]\ngateway = \"0.0.0.0:8484\"\n";
    let refused = config(open, &[]).unwrap_err();
    assert!(refused.contains("an address other machines can reach needs"), "{refused}");
    let told = config(&format!("{open}plain_http_beyond_loopback = true"), &[]);
    assert!(told.is_ok());
    let with_tls = config(&format!("{open}[tls]\ncert = \"c\"\nkey = \"/k\""), &[]).unwrap();
    let tls = with_tls.tls.unwrap();
    assert_eq!((tls.cert.as_path(), tls.key.as_path()), (Path::new("/d/c"), Path::new("/k")));
}

#[test]
fn the_table_of_keys_is_sound() {
    for key in keys::ALL {
        let (section, _) = key.parts();
        assert!(keys::SECTIONS.iter().any(|(known, _)| *known == section), "{}", key.path);
        assert!(key.default.is_none_or(|value| key.shape.accepts(value)), "{}", key.path);
    }
}

#[test]
fn the_commented_file_is_the_default_configuration() {
    let as_written = config(&commented_file(), &[]).unwrap();
    let defaults = config("", &[]).unwrap();
    assert_eq!(format!("{as_written:?}"), format!("{defaults:?}"));
    let live: String = commented_file()
        .lines()
        .map(|line| match line.strip_prefix("# ").filter(|rest| rest.contains(" = ")) {
            Some(setting)
                if !setting.ends_with("\"\"") && setting.starts_with(char::is_lowercase) =>
            {
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let uncommented = config(&live, &[]).unwrap();
    assert_eq!(format!("{uncommented:?}"), format!("{defaults:?}"));
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == reference(), "run `cargo xtask docs`");
}

#[test]
fn a_server_may_want_oauth() {
    let text = "[mcp.servers.a]\nurl = \"https://h/mcp\"\noauth = true\n\
                oauth_client = \"https://provost.example/client.json\"\n\
                oauth_scopes = [\"repo\", \"user\"]\n\
                [mcp.servers.b]\nurl = \"https://h\"\noauth = true\n\
                [mcp.servers.c]\nurl = \"https://h\"\noauth = false\n";
    let config = config(text, &[]).unwrap();
    let oauth = |at: usize| match &config.mcp[at].way {
        McpWay::Http { oauth, .. } => oauth.clone(),
        McpWay::Program { .. } => panic!("over HTTP"),
    };
    let given = McpOAuth {
        client: Some("https://provost.example/client.json".to_owned()),
        scopes: vec!["repo".to_owned(), "user".to_owned()],
    };
    assert_eq!((oauth(0), oauth(1), oauth(2)), (Some(given), Some(McpOAuth::default()), None));
}

#[test]
fn mcp_servers_are_tables_under_names_of_ones_own() {
    let text = "[mcp.servers.github]\nurl = \"https://h/mcp/\"\nsecret = \"gh\"\n\
                arguments = [\"owner\", \"repo\"]\n[mcp.servers.a-1]\nurl = \"http://h\"\n\
                ca_file = \"ca.pem\"\n[mcp.servers.files]\n\
                command = [\"serve\", \"/srv\"]\nfolder = \"/srv\"\n\
                env = [\"LEVEL=a=b\"]\nsecret_env = [\"TOKEN=files\"]\n\
                memory_bytes_max = 0x1000_0000\nfile_bytes_max = 0\n";
    let config_of = config(text, &[]).unwrap();
    let [one, files, github] = config_of.mcp.as_slice() else { panic!("three servers") };
    let http = |url: &str, secret: Option<&str>, ca_file: Option<&str>| McpWay::Http {
        url: url.to_owned(),
        secret: secret.map(str::to_owned),
        ca_file: ca_file.map(Into::into),
        oauth: None,
    };
    assert_eq!((one.name.as_str(), one.arguments.len()), ("a-1", 0));
    assert_eq!(one.way, http("http://h", None, Some("/d/ca.pem")));
    assert_eq!(github.way, http("https://h/mcp/", Some("gh"), None));
    assert_eq!(github.arguments, ["owner", "repo"]);
    let pair = |name: &str, text: &str| vec![(name.to_owned(), text.to_owned())];
    let program = McpWay::Program {
        command: vec!["serve".to_owned(), "/srv".to_owned()],
        home: "/d/mcp/files".into(),
        folder: "/srv".into(),
        env: pair("LEVEL", "a=b"),
        secret_env: pair("TOKEN", "files"),
        limits: Resources {
            address_space_bytes: None,
            data_bytes: Some(1 << 28),
            open_files: Some(4096),
            processes: None,
            file_bytes: Some(0),
            cpu_seconds: None,
        },
    };
    assert_eq!(files.way, program);
}

#[test]
fn what_is_wrong_with_an_mcp_server_is_told() {
    for (text, want) in [
        (
            "[mcp.servers.GitHub]\nurl = \"http://h\"",
            "1: `GitHub` is no name of an MCP server: use 1 to 64 lower-case letters, digits and `-`",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\noauth = true\nsecret = \"x\"",
            "1: `oauth = true` is for a server with a `url`, in place of `secret`",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\noauth_client = \"x\"",
            "1: `oauth_client` and `oauth_scopes` are for a server with `oauth = true`",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\noauth = \"yes\"",
            "3: `mcp.servers.NAME.oauth` has to be true or false",
        ),
        ("[mcp.servers.a]\n", "1: an MCP server needs its `url`, or its `command`"),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\ncommand = [\"x\"]",
            "1: an MCP server has a `url`, with `secret` and `ca_file`, or a `command`, with `folder`, `env`, `secret_env` and limits",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\nmemory_bytes_max = 268435456",
            "1: an MCP server has a `url`, with `secret` and `ca_file`, or a `command`, with `folder`, `env`, `secret_env` and limits",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\nopen_files_max = 4096",
            "1: an MCP server has a `url`, with `secret` and `ca_file`, or a `command`, with `folder`, `env`, `secret_env` and limits",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\nenv = []",
            "1: an MCP server has a `url`, with `secret` and `ca_file`, or a `command`, with `folder`, `env`, `secret_env` and limits",
        ),
        (
            "[mcp.servers.a]\ncommand = [\"x\"]\ncpu_s_max = 0",
            "3: `mcp.servers.NAME.cpu_s_max` has to be a whole number from 1 to 1073741824",
        ),
        (
            "[mcp.servers.a]\ncommand = [\"x\"]\nenv = [\"x\"]",
            "1: `env` is a list of `NAME=value`",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\nsecrt = \"x\"",
            "3: there is no key `mcp.servers.NAME.secrt`; did you mean `secret`?",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\narguments = \"x\"",
            "3: `mcp.servers.NAME.arguments` has to be a list of texts that are not empty",
        ),
        (
            "[mcp.servers.a]\nurl = \"http://h\"\narguments = [\"\"]",
            "3: `mcp.servers.NAME.arguments` has to be a list of texts that are not empty",
        ),
        ("[mcp]\nurl = 1", "2: there is no key `mcp.url`"),
        ("[mcp.server.a]", "1: there is no section `mcp.server`; did you mean `mcp.servers`?"),
    ] {
        let got = config(text, &[]).map(|_| ()).unwrap_err();
        assert_eq!(got, format!("provost.toml:{want}"), "text = {text:?}");
    }
}
