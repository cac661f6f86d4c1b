//! `[mcp.servers.NAME]`: tables under names of the operator's own, and therefore not in
//! [`super::keys`].

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use provost_gateway::child::Resources;
use provost_mcp::ServerName;
use toml::{Spanned, de::DeValue};

use super::{
    keys::Shape,
    settings::{Fault, Origin, Problem, closest, text_of},
};

/// One server that agents reach at `/mcp/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct McpServer {
    /// Its name.
    pub(crate) name: ServerName,
    /// How it is reached.
    pub(crate) way: McpWay,
    /// Names of the arguments that policy may see.
    pub(crate) arguments: Vec<String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum McpWay {
    /// Over HTTP.
    Http {
        /// Where it is.
        url: String,
        /// Name of the stored credential it is asked with.
        secret: Option<String>,
        /// Certificates to trust for it beside the public ones.
        ca_file: Option<PathBuf>,
        /// The account it is asked with, if it wants OAuth.
        oauth: Option<McpOAuth>,
    },
    /// It is a program.
    Program {
        /// The program and its arguments.
        command: Vec<String>,
        /// The folder that it may call its home.
        home: PathBuf,
        /// The folder it works in.
        folder: PathBuf,
        /// Variables of its environment.
        env: Vec<(String, String)>,
        /// Variables whose values are stored credentials, with the credentials' names.
        secret_env: Vec<(String, String)>,
        /// What the system holds each of its processes to.
        limits: Resources,
    },
}

/// How Provost logs in at a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct McpOAuth {
    /// As whom.
    pub(crate) client: Option<String>,
    /// What for.
    pub(crate) scopes: Vec<String>,
}

/// A key of such a table.
pub(super) struct ServerKey {
    /// `mcp.servers.NAME.key`.
    pub(super) path: &'static str,
    shape: Shape,
    /// What its value may be, in words, where the shape's own do not say it well.
    takes: Option<&'static str>,
    /// What it does, in sentences.
    pub(super) meaning: &'static str,
}

const URL: &str = "mcp.servers.NAME.url";
const SECRET: &str = "mcp.servers.NAME.secret";
const CA_FILE: &str = "mcp.servers.NAME.ca_file";
const OAUTH: &str = "mcp.servers.NAME.oauth";
const OAUTH_CLIENT: &str = "mcp.servers.NAME.oauth_client";
const OAUTH_SCOPES: &str = "mcp.servers.NAME.oauth_scopes";
const COMMAND: &str = "mcp.servers.NAME.command";
const FOLDER: &str = "mcp.servers.NAME.folder";
const ENV: &str = "mcp.servers.NAME.env";
const SECRET_ENV: &str = "mcp.servers.NAME.secret_env";
const ARGUMENTS: &str = "mcp.servers.NAME.arguments";
const MEMORY: &str = "mcp.servers.NAME.memory_bytes_max";
const OPEN_FILES: &str = "mcp.servers.NAME.open_files_max";
const PROCESSES: &str = "mcp.servers.NAME.processes_max";
const FILE: &str = "mcp.servers.NAME.file_bytes_max";
const CPU: &str = "mcp.servers.NAME.cpu_s_max";

/// Keys that make sense with `command` alone.
const OF_PROGRAMS: [&str; 8] =
    [FOLDER, ENV, SECRET_ENV, MEMORY, OPEN_FILES, PROCESSES, FILE, CPU];

/// What a program may take unless the configuration says so. Ours: a runtime with its heap at
/// its largest fits, and one that runs away is ended before the machine is full.
const LIMITS: Resources = Resources {
    address_space_bytes: None,
    data_bytes: Some(4 << 30),
    open_files: Some(4096),
    processes: None,
    file_bytes: None,
    cpu_seconds: None,
};

/// Every key of such a table.
pub(super) const KEYS: &[ServerKey] = &[
    ServerKey {
        path: URL,
        shape: Shape::Url,
        takes: None,
        meaning: "The server's address, exactly. Either this or `command`.",
    },
    ServerKey {
        path: SECRET,
        shape: Shape::Text,
        takes: None,
        meaning: "Name of the stored credential it is called with, as `Authorization: Bearer`; \
                  see `provost secret set`. By default none.",
    },
    ServerKey {
        path: CA_FILE,
        shape: Shape::File,
        takes: None,
        meaning: "Certificates to trust for it beside the public ones, PEM.",
    },
    ServerKey {
        path: OAUTH,
        shape: Shape::Switch,
        takes: None,
        meaning: "The server wants OAuth: a person logs in for Provost with `provost mcp login \
                  NAME`, and it is called with what comes of that. In place of `secret`.",
    },
    ServerKey {
        path: OAUTH_CLIENT,
        shape: Shape::Text,
        takes: None,
        meaning: "As whom Provost logs in: the id of a client that was registered by hand, or \
                  the https address of a client id metadata document. By default Provost \
                  registers itself.",
    },
    ServerKey {
        path: OAUTH_SCOPES,
        shape: Shape::Texts,
        takes: Some("a list of texts"),
        meaning: "What Provost logs in for. By default what the server names.",
    },
    ServerKey {
        path: COMMAND,
        shape: Shape::Texts,
        takes: Some("a list of texts"),
        meaning: "A program that is the server, and its arguments; it speaks on its standard \
                  streams. It is started for each of a client's sessions, as the user Provost \
                  runs as, and ended with it.",
    },
    ServerKey {
        path: FOLDER,
        shape: Shape::File,
        takes: Some("the path of a folder"),
        meaning: "The folder the program works in. By default its home, `mcp/NAME` in the data \
                  directory.",
    },
    ServerKey {
        path: ENV,
        shape: Shape::Texts,
        takes: Some("a list of `NAME=value`"),
        meaning: "The program's environment. Beside it there are `PATH`, `HOME` and `LANG`, and \
                  nothing else.",
    },
    ServerKey {
        path: SECRET_ENV,
        shape: Shape::Texts,
        takes: Some("a list of `NAME=secret`"),
        meaning: "Variables of the program's environment whose values are stored credentials, by \
                  the names these have.",
    },
    ServerKey {
        path: MEMORY,
        shape: Shape::Number(16 << 20..=1 << 50),
        takes: None,
        meaning: "Memory of its own that each process of the program may write to \
                  (`RLIMIT_DATA`). By default 4 GiB.",
    },
    ServerKey {
        path: OPEN_FILES,
        shape: Shape::Number(16..=1 << 30),
        takes: None,
        meaning: "Files that each process of the program may have open. By default 4096. No \
                  limit is ever higher than Provost's own.",
    },
    ServerKey {
        path: PROCESSES,
        shape: Shape::Number(1..=1 << 30),
        takes: None,
        meaning: "Processes and threads at which the program can start no more. Those of \
                  everything count that runs as its user, which is Provost's. Does not hold for \
                  root. By default none.",
    },
    ServerKey {
        path: FILE,
        shape: Shape::Number(0..=1 << 50),
        takes: None,
        meaning: "Longest file that the program may write. By default none.",
    },
    ServerKey {
        path: CPU,
        shape: Shape::Number(1..=1 << 30),
        takes: None,
        meaning: "Processor time after which a process of the program is ended. By default none.",
    },
    ServerKey {
        path: ARGUMENTS,
        shape: Shape::Texts,
        takes: Some("a list of texts"),
        meaning: "Arguments of its tools that policies may look at, as \
                  `context.arguments.getTag(\"…\")`. The ledger keeps their values. By default \
                  none.",
    },
];

impl ServerKey {
    /// What its value may be, in words.
    pub(super) fn takes(&self) -> String {
        self.takes.map_or_else(|| self.shape.wanted(), str::to_owned)
    }
}

/// Reads the section `mcp`; faults are added to `faults`.
pub(super) fn read<'a>(
    section: impl IntoIterator<Item = (Spanned<std::borrow::Cow<'a, str>>, Spanned<DeValue<'a>>)>,
    at: impl Fn(Range<usize>) -> Origin,
    faults: &mut Vec<Fault>,
) -> Vec<McpServer> {
    let mut servers = Vec::new();
    for (key, value) in section {
        let place = at(key.span());
        let name = format!("mcp.{}", key.get_ref());
        let DeValue::Table(tables) = value.into_inner() else {
            faults.push(Fault { origin: place, problem: Problem::Key { name, like: None } });
            continue;
        };
        if name != "mcp.servers" {
            let like = Some("mcp.servers");
            faults.push(Fault { origin: place, problem: Problem::Section { name, like } });
            continue;
        }
        for (name, table) in tables {
            let place = at(name.span());
            match server(name.get_ref(), table.into_inner(), &at, faults) {
                Ok(server) => servers.push(server),
                Err(problem) => faults.push(Fault { origin: place, problem }),
            }
        }
    }
    servers
}

fn server(
    name: &str,
    table: DeValue<'_>,
    at: impl Fn(Range<usize>) -> Origin,
    faults: &mut Vec<Fault>,
) -> Result<McpServer, Problem> {
    let name: ServerName = name.parse().map_err(|_| Problem::ServerName(name.to_owned()))?;
    let DeValue::Table(table) = table else {
        return Err(Problem::Key { name: format!("mcp.servers.{name}"), like: None });
    };
    let mut given: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (key, value) in table {
        match take(key.get_ref(), value.get_ref()) {
            Ok((path, texts)) => drop(given.insert(path, texts)),
            Err(problem) => faults.push(Fault { origin: at(key.span()), problem }),
        }
    }
    let is_program = OF_PROGRAMS.iter().any(|path| given.contains_key(path));
    let mut one = |path: &str| given.remove(path).and_then(|texts| texts.into_iter().next());
    let (url, secret, ca_file) = (one(URL), one(SECRET), one(CA_FILE).map(PathBuf::from));
    let folder = one(FOLDER).map(PathBuf::from);
    let (has_oauth, oauth_client) = (one(OAUTH).as_deref() == Some("true"), one(OAUTH_CLIENT));
    let mut list = |path| given.remove(path);
    let scopes = list(OAUTH_SCOPES).unwrap_or_default();
    if !has_oauth && (oauth_client.is_some() || !scopes.is_empty()) {
        return Err(Problem::Together(
            "`oauth_client` and `oauth_scopes` are for a server with `oauth = true`",
        ));
    }
    let oauth = has_oauth.then_some(McpOAuth { client: oauth_client, scopes });
    if oauth.is_some() && (secret.is_some() || url.is_none()) {
        return Err(Problem::Together(
            "`oauth = true` is for a server with a `url`, in place of `secret`",
        ));
    }
    let (command, arguments) = (list(COMMAND), list(ARGUMENTS).unwrap_or_default());
    let env = pairs(list(ENV), "`env` is a list of `NAME=value`")?;
    let secret_env = pairs(list(SECRET_ENV), "`secret_env` is a list of `NAME=secret`")?;
    let limits = limits(&mut given);
    let way = match (url, command) {
        (Some(url), None) if !is_program => McpWay::Http { url, secret, ca_file, oauth },
        (None, Some(command))
            if !command.is_empty() && secret.is_none() && ca_file.is_none() =>
        {
            let home = PathBuf::from("mcp").join(name.as_str());
            let folder = folder.unwrap_or_else(|| home.clone());
            McpWay::Program { command, home, folder, env, secret_env, limits }
        }
        (None, None) => {
            return Err(Problem::Together("an MCP server needs its `url`, or its `command`"));
        }
        _ => {
            return Err(Problem::Together(
                "an MCP server has a `url`, with `secret` and `ca_file`, or a `command`, with \
                 `folder`, `env`, `secret_env` and limits",
            ));
        }
    };
    Ok(McpServer { name, way, arguments })
}

/// What a program may take.
fn limits(given: &mut BTreeMap<&'static str, Vec<String>>) -> Resources {
    let mut or = |path: &str, default: Option<u64>| {
        let number = given.remove(path).and_then(|texts| texts.first()?.parse().ok());
        number.or(default)
    };
    Resources {
        address_space_bytes: LIMITS.address_space_bytes,
        data_bytes: or(MEMORY, LIMITS.data_bytes),
        open_files: or(OPEN_FILES, LIMITS.open_files),
        processes: or(PROCESSES, LIMITS.processes),
        file_bytes: or(FILE, LIMITS.file_bytes),
        cpu_seconds: or(CPU, LIMITS.cpu_seconds),
    }
}

/// Texts of the form `NAME=text`.
fn pairs(
    texts: Option<Vec<String>>,
    form: &'static str,
) -> Result<Vec<(String, String)>, Problem> {
    let pair = |text: String| {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let pair = pair.map(|(name, text)| (name.to_owned(), text.to_owned()));
        pair.ok_or(Problem::Together(form))
    };
    texts.unwrap_or_default().into_iter().map(pair).collect()
}

/// The key that `name` is, and its value.
fn take(name: &str, value: &DeValue<'_>) -> Result<(&'static str, Vec<String>), Problem> {
    let own = |key: &ServerKey| key.path.rsplit('.').next().unwrap_or_default();
    let Some(key) = KEYS.iter().find(|key| own(key) == name) else {
        let like = closest(name, KEYS.iter().map(own));
        return Err(Problem::Key { name: format!("mcp.servers.NAME.{name}"), like });
    };
    let refused = || Problem::Value { key: key.path, shape: key.shape.clone() };
    let text = |value: &DeValue<'_>| {
        let text = text_of(value, &key.shape).filter(|text| key.shape.accepts(text));
        text.ok_or_else(refused)
    };
    let texts = match (&key.shape, value) {
        (Shape::Texts, DeValue::Array(items)) => {
            items.iter().map(|item| text(item.get_ref())).collect::<Result<_, _>>()?
        }
        (Shape::Texts, _) => return Err(refused()),
        (_, value) => vec![text(value)?],
    };
    Ok((key.path, texts))
}
