//! What can go wrong with the database.

use std::io;

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither `sqlite:///path` nor `postgres://…`.
    #[error("not a database URL: use `sqlite:///path/to/file` or `postgres://host/database`")]
    Url,
    /// The database file could not be created or made private.
    #[error("the database file could not be prepared")]
    File {
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// A newer version of this program wrote the database.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: upgrade it"
    )]
    Newer {
        /// The database's schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A step of the schema could not be applied; nothing of it was.
    #[error("schema version {version} could not be applied")]
    Migration {
        /// The step's version.
        version: i64,
        /// The database's own words.
        #[source]
        source: sqlx::Error,
    },
    /// The database does not answer, or not as one.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An operation on the database that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, read or written now. Trying later may succeed.
    #[error("the database is unavailable: could not {doing}")]
    Unavailable {
        /// What was attempted: a verb and its object.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Unavailable,
    },
    /// The database answered with an error that trying again does not mend.
    #[error("the database refused to {doing}")]
    Refused {
        /// What was attempted: a verb and its object.
        doing: &'static str,
        /// The database's own words.
        #[source]
        source: sqlx::Error,
    },
    /// Something of that name or id exists.
    #[error("{kind} `{name}` exists")]
    Taken {
        /// The kind of thing: `project`, `agent`, `credential`, `human`, `session`.
        kind: &'static str,
        /// Its name or id.
        name: String,
    },
    /// Nothing of that name or id exists.
    #[error("there is no {kind} `{name}`")]
    NoSuch {
        /// The kind of thing.
        kind: &'static str,
        /// Its name or id.
        name: String,
    },
    /// It is retired, removed or ended, and cannot be given anything new.
    #[error("{kind} `{name}` is over")]
    Over {
        /// The kind of thing.
        kind: &'static str,
        /// Its name or id.
        name: String,
    },
    /// A row holds what this program never writes: it was changed from outside.
    #[error("column `{column}` of a row of table `{table}` is not readable")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Events were offered that leave a gap behind the last one indexed.
    #[error("the event index ends at {indexed}, the events offered begin at {offered}")]
    Gap {
        /// Number of entries indexed so far.
        indexed: u64,
        /// Position of the first event offered.
        offered: u64,
    },
}

impl StoreError {
    /// Whether the database could not be reached, read or written, and later might be.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Why a database is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The driver could not reach, read or write it.
    #[error(transparent)]
    Driver(#[from] sqlx::Error),
    /// The file that was opened is no longer at its path.
    #[error("the database file was removed or replaced while it was open")]
    FileGone,
    /// It did not answer in time.
    #[error("no answer within {seconds} s")]
    Silent {
        /// How long was waited. Unit: seconds.
        seconds: u64,
    },
}
