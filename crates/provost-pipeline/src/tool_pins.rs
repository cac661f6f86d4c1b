//! Pinned tools: what an MCP server says of a tool counts as it was first seen, or as a person
//! accepted it since.
//!
//! A server may change the description of a tool after it was found harmless, and a model
//! obeys descriptions. So a definition that differs from the accepted one holds the tool until
//! a person has looked at exactly that definition, or until the server takes it back.
//!
//! Held in memory and written through to the store, and to the ledger first.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::try_join_all;
use parking_lot::RwLock;
use provost_ledger::{Admin, Record, Subject};
use provost_store::{
    Store, StoreError, TOOL_DEFINITION_BYTES_MAX, ToolDefinition, ToolRow, WaitingDefinition,
};
use provost_types::{ActionId, Causes, Digest, Timestamp};
use tokio::sync::Mutex;

use crate::{
    By, Directory, DirectoryError, Permit, Refusal, RefusalCode, record::LEDGER_DOWN,
    refusal::Reason,
};

/// Most tools of one server, those it no longer offers included. Ours.
const SERVER_TOOLS_MAX: usize = 4096;

/// Most bytes of one server's definitions, accepted and waiting, for they are held in memory.
/// Unit: bytes. Ours.
const SERVER_BYTES_MAX: usize = 64 << 20;

/// Longest name of a tool. Unit: bytes. Ours: twice the 128 characters of MCP 2025-11-25,
/// "Tool Names".
const NAME_BYTES_MAX: usize = 256;

/// What a person is told when the database cannot be written.
const STORE_DOWN: &str = "Provost cannot write its database, so no tool can be pinned; an operator has to look at `readyz`.";

/// Whether a tool is what was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Its definition is the accepted one.
    Accepted,
    /// Its definition changed, and a person has to look.
    Held {
        /// When the definition that waits was first seen.
        since: Timestamp,
    },
}

/// A tool as it is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedTool {
    /// Whether it is what was accepted.
    pub pin: Pin,
    /// The accepted definition, canonical JSON; also of a tool that is held.
    pub definition: Arc<[u8]>,
}

/// The tools of one server, by name.
type Tools = BTreeMap<String, ToolRow>;

/// Every tool that was ever seen.
#[derive(Debug)]
pub(crate) struct ToolPins {
    servers: RwLock<HashMap<String, Tools>>,
    /// Changes happen one after the other; reads do not wait for them.
    changing: Mutex<()>,
}

/// A definition that a server offers.
struct Offered<'a> {
    tool: &'a str,
    definition: ToolDefinition,
}

/// What an offer makes of a tool.
struct Change {
    verb: &'static str,
    row: ToolRow,
    /// Another digest that the record tells beside the accepted one, and what it is.
    told: Option<(&'static str, Digest)>,
}

impl Permit {
    /// Pins the tools that `server` offers, by name and canonical definition; says of each
    /// whether it may be used. What is seen for the first time is accepted. What changes is
    /// recorded and kept before this returns.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: a name or a definition is over a limit, malformed or there twice; the
    /// server has too many; or the change cannot be kept. Then nothing of it is pinned and
    /// none of the tools may be used. It is not recorded here: tell it in the outcome.
    pub async fn pin_tools(
        &self,
        server: &str,
        tools: &[(String, Vec<u8>)],
    ) -> Result<Vec<Pin>, Refusal> {
        let pinned = self.directory().pin_tools(self, server, tools).await;
        pinned.map_err(|reason| reason.about(self.action()))
    }

    /// The tool, if it was ever pinned.
    pub fn pinned_tool(&self, server: &str, tool: &str) -> Option<PinnedTool> {
        let row = self.directory().tools.find(server, tool)?;
        Some(PinnedTool { pin: pin(&row), definition: Arc::clone(row.accepted.bytes()) })
    }

    /// Whose doing a change of pins is: not the action's own, which has an outcome to come.
    fn pinning(&self) -> Subject {
        Subject {
            action: None,
            agent: Some(self.agent().clone()),
            project: Some(self.project().clone()),
            session: Some(self.session()),
        }
    }
}

impl Directory {
    /// Every tool of `server`, or of every server, by server and name.
    pub fn tools(&self, server: Option<&str>) -> Vec<ToolRow> {
        let servers = self.tools.servers.read();
        let asked = servers.iter().filter(|(name, _)| server.is_none_or(|one| one == *name));
        let mut rows: Vec<_> = asked.flat_map(|(_, tools)| tools.values().cloned()).collect();
        rows.sort_by(|a, b| (&a.server, &a.tool).cmp(&(&b.server, &b.tool)));
        rows
    }

    /// One tool.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] tool.
    pub fn tool(&self, server: &str, tool: &str) -> Result<ToolRow, DirectoryError> {
        let found = self.tools.find(server, tool);
        found.ok_or_else(|| DirectoryError::no_such(name_of(server, tool)))
    }

    /// Accepts the definition that waits, if it is still the one with `digest`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] tool; [`DirectoryError::NotHeld`]: nothing waits;
    /// [`DirectoryError::ChangedAgain`]: another definition waits than was looked at.
    pub async fn accept_tool(
        &self,
        by: &By,
        server: &str,
        tool: &str,
        digest: Digest,
    ) -> Result<ToolRow, DirectoryError> {
        let _changing = self.tools.changing.lock().await;
        let known = self.tool(server, tool)?;
        let what = name_of(server, tool);
        let Some(WaitingDefinition { definition, .. }) = known.waiting.clone() else {
            return Err(DirectoryError::NotHeld { what });
        };
        if definition.digest() != digest {
            return Err(DirectoryError::ChangedAgain { what, waiting: definition.digest() });
        }
        let was = known.accepted.digest();
        let row = ToolRow {
            accepted: definition,
            accepted_by: by.to_string(),
            accepted_at: self.recorder.clock.wall(),
            waiting: None,
            ..known
        };
        let change = Change { verb: "mcp.tool-accepted", row, told: Some(("was", was)) };
        self.recorder.record(Subject::default(), change.record(by, None)).await?;
        self.store.put_tools(std::slice::from_ref(&change.row)).await?;
        self.tools.keep([&change]);
        Ok(change.row)
    }

    async fn pin_tools(
        &self,
        permit: &Permit,
        server: &str,
        tools: &[(String, Vec<u8>)],
    ) -> Result<Vec<Pin>, Reason> {
        let offered = offered(server, tools)?;
        let now = self.recorder.clock.wall();
        if !self.tools.changes(server, &offered, now).is_empty() {
            let _changing = self.tools.changing.lock().await;
            let changes = self.tools.changes(server, &offered, now);
            self.tools.check_room(server, &changes)?;
            self.write_down(permit, &changes).await?;
            self.tools.keep(&changes);
        }
        let pin_of = |one: &Offered<'_>| one.pin(self.tools.find(server, one.tool), now);
        Ok(offered.iter().map(pin_of).collect())
    }

    /// Makes changes durable, in the ledger and then in the store.
    async fn write_down(&self, permit: &Permit, changes: &[Change]) -> Result<(), Reason> {
        let by = By::provost();
        let records = changes.iter().map(|change| {
            let record = change.record(&by, Some(permit.action()));
            self.recorder.record(permit.pinning(), record)
        });
        // Together, so that they share the journal's commits.
        try_join_all(records).await.map_err(|error| {
            tracing::error!(error = %Causes(&error), "ledger unavailable, tools not pinned");
            Reason::new(RefusalCode::Unavailable, LEDGER_DOWN)
        })?;
        let rows: Vec<ToolRow> = changes.iter().map(|change| change.row.clone()).collect();
        self.store.put_tools(&rows).await.map_err(|error| {
            tracing::error!(error = %Causes(&error), "database unavailable, tools not pinned");
            Reason::new(RefusalCode::Unavailable, STORE_DOWN)
        })
    }
}

impl ToolPins {
    /// Loads every tool that the store knows.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if a definition was changed from outside.
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut servers: HashMap<String, Tools> = HashMap::new();
        for row in store.tools().await? {
            servers.entry(row.server.clone()).or_default().insert(row.tool.clone(), row);
        }
        Ok(Self { servers: RwLock::new(servers), changing: Mutex::new(()) })
    }

    fn find(&self, server: &str, tool: &str) -> Option<ToolRow> {
        self.servers.read().get(server)?.get(tool).cloned()
    }

    /// What the offers change, at `now`.
    fn changes(&self, server: &str, offered: &[Offered<'_>], now: Timestamp) -> Vec<Change> {
        let servers = self.servers.read();
        let known = servers.get(server);
        let change_of = |one: &Offered<'_>| match known.and_then(|tools| tools.get(one.tool)) {
            Some(row) => one.change(row, now),
            None => Some(one.first(server, now)),
        };
        offered.iter().filter_map(change_of).collect()
    }

    /// Refuses what would make a server's tools too many or too large.
    fn check_room(&self, server: &str, changes: &[Change]) -> Result<(), Reason> {
        let servers = self.servers.read();
        let mut after: BTreeMap<&str, &ToolRow> = BTreeMap::new();
        let known = servers.get(server).into_iter().flat_map(Tools::values);
        for row in known.chain(changes.iter().map(|change| &change.row)) {
            after.insert(&row.tool, row);
        }
        let bytes = after.values().fold(0_usize, |sum, row| sum.saturating_add(bytes_of(row)));
        if after.len() > SERVER_TOOLS_MAX {
            let limit = format!("more than {SERVER_TOOLS_MAX} tools");
            return Err(refused(server, &limit));
        }
        if bytes > SERVER_BYTES_MAX {
            let limit = format!("tools with definitions of more than {SERVER_BYTES_MAX} bytes");
            return Err(refused(server, &limit));
        }
        Ok(())
    }

    fn keep<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) {
        let mut servers = self.servers.write();
        for Change { verb, row, .. } in changes {
            metrics::counter!("provost_tool_pins_total", "change" => *verb).increment(1);
            if row.waiting.is_some() {
                let (server, tool) = (row.server.as_str(), row.tool.as_str());
                tracing::warn!(server, tool, "a tool's definition changed, it is held");
            }
            let tools = servers.entry(row.server.clone()).or_default();
            tools.insert(row.tool.clone(), row.clone());
        }
    }
}

impl Offered<'_> {
    /// Whether what is offered may be used. Another offer may have changed the tool since this
    /// one was written down: what counts is this definition, not the tool's newest.
    fn pin(&self, known: Option<ToolRow>, now: Timestamp) -> Pin {
        match known {
            Some(row) if row.accepted.digest() == self.definition.digest() => pin(&row),
            row => {
                let waiting = row.and_then(|row| row.waiting);
                Pin::Held { since: waiting.map_or(now, |waiting| waiting.since) }
            }
        }
    }

    /// The tool, seen for the first time.
    fn first(&self, server: &str, now: Timestamp) -> Change {
        let row = ToolRow {
            server: server.to_owned(),
            tool: self.tool.to_owned(),
            accepted: self.definition.clone(),
            accepted_by: By::provost().to_string(),
            accepted_at: now,
            waiting: None,
        };
        Change { verb: "mcp.tool-pinned", row, told: None }
    }

    /// What it changes of a tool that is known.
    fn change(&self, known: &ToolRow, now: Timestamp) -> Option<Change> {
        let digest = self.definition.digest();
        let waiting = known.waiting.as_ref().map(|waiting| waiting.definition.digest());
        if digest == known.accepted.digest() {
            // Taken back: what is offered is again what was accepted.
            let row = ToolRow { waiting: None, ..known.clone() };
            return waiting.map(|was| Change {
                verb: "mcp.tool-reverted",
                row,
                told: Some(("was", was)),
            });
        }
        if waiting == Some(digest) {
            return None;
        }
        let waiting = WaitingDefinition { definition: self.definition.clone(), since: now };
        let row = ToolRow { waiting: Some(waiting), ..known.clone() };
        Some(Change { verb: "mcp.tool-held", row, told: Some(("waiting", digest)) })
    }
}

impl Change {
    /// What the ledger says of it. `digest` there is the accepted one, after the change.
    fn record(&self, by: &By, seen_in: Option<ActionId>) -> Record {
        let ToolRow { server, tool, accepted, .. } = &self.row;
        let mut detail = BTreeMap::from([
            ("server".to_owned(), server.clone()),
            ("tool".to_owned(), tool.clone()),
            ("digest".to_owned(), accepted.digest().to_string()),
        ]);
        detail.extend(self.told.map(|(name, digest)| (name.to_owned(), digest.to_string())));
        detail.extend(seen_in.map(|action| ("action".to_owned(), action.to_string())));
        Record::Admin(Admin {
            by: by.to_string(),
            verb: self.verb.to_owned(),
            subject: format!("tool/{server}/{tool}"),
            detail,
        })
    }
}

/// Reads what a server offers: bounded, and nothing that could be taken for something else.
fn offered<'a>(
    server: &str,
    tools: &'a [(String, Vec<u8>)],
) -> Result<Vec<Offered<'a>>, Reason> {
    if tools.len() > SERVER_TOOLS_MAX {
        let limit = format!("more than {SERVER_TOOLS_MAX} tools");
        return Err(refused(server, &limit));
    }
    let mut names = HashSet::new();
    for (name, definition) in tools {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            let problem = "a tool whose name is empty, has control characters or more than \
                           256 bytes";
            return Err(refused(server, problem));
        }
        if definition.len() > TOOL_DEFINITION_BYTES_MAX || str::from_utf8(definition).is_err() {
            let problem = "a tool whose definition is no text or has more than 262,144 bytes";
            return Err(refused(server, problem));
        }
        if !names.insert(name.as_str()) {
            return Err(refused(server, "two tools of one name"));
        }
    }
    let read = |(tool, definition): &'a (String, Vec<u8>)| Offered {
        tool,
        definition: ToolDefinition::new(definition.as_slice()),
    };
    Ok(tools.iter().map(read).collect())
}

/// The names are left out: they are the server's words, and these are Provost's.
fn refused(server: &str, problem: &str) -> Reason {
    let sentence = format!(
        "MCP server {server} offers {problem}, so none of its tools can be used; its operator \
         has to mend that."
    );
    Reason::new(RefusalCode::Denied, sentence)
}

fn pin(row: &ToolRow) -> Pin {
    row.waiting.as_ref().map_or(Pin::Accepted, |waiting| Pin::Held { since: waiting.since })
}

fn bytes_of(row: &ToolRow) -> usize {
    let waiting = row.waiting.as_ref().map_or(0, |one| one.definition.bytes().len());
    waiting.saturating_add(row.accepted.bytes().len())
}

fn name_of(server: &str, tool: &str) -> String {
    format!("tool {tool} of MCP server {server}")
}
