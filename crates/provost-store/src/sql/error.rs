//! What can go wrong with the database.

use std::{io, time::Duration};

use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

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

    pub(super) fn taken(kind: &'static str, name: &impl ToString) -> Self {
        Self::Taken { kind, name: name.to_string() }
    }

    pub(super) fn no_such(kind: &'static str, name: &impl ToString) -> Self {
        Self::NoSuch { kind, name: name.to_string() }
    }

    pub(super) fn over(kind: &'static str, name: &impl ToString) -> Self {
        Self::Over { kind, name: name.to_string() }
    }

    /// Sorts the driver's error about `doing` into what may pass and what will not.
    pub(super) fn driver(doing: &'static str) -> impl Fn(sqlx::Error) -> Self + Copy {
        move |source| {
            if may_pass(&source) {
                Self::Unavailable { doing, source: source.into() }
            } else {
                Self::Refused { doing, source }
            }
        }
    }

    /// The error for an answer about `doing` that did not come within `waited`.
    pub(super) const fn silent(doing: &'static str, waited: Duration) -> Self {
        let source = Unavailable::Silent { seconds: waited.as_secs() };
        Self::Unavailable { doing, source }
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    let Some(answered) = error.as_database_error() else {
        return matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed
        );
    };
    let code = answered.code().unwrap_or_default();
    if answered.try_downcast_ref::<SqliteError>().is_some() {
        code.parse().is_ok_and(sqlite_may_pass)
    } else {
        answered.try_downcast_ref::<PgDatabaseError>().is_some() && postgres_may_pass(&code)
    }
}

/// Source: sqlite.org/rescode.html; the low byte of an extended code is its primary code.
const fn sqlite_may_pass(code: u32) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const NOMEM: u32 = 7;
    const READONLY: u32 = 8;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    const PROTOCOL: u32 = 15;
    matches!(code & 0xff, BUSY | LOCKED | NOMEM | READONLY | IOERR | FULL | CANTOPEN | PROTOCOL)
}

/// Source: PostgreSQL's manual, appendix "PostgreSQL Error Codes"; the first two characters
/// are the class.
fn postgres_may_pass(code: &str) -> bool {
    const CLASSES: [&str; 5] = [
        "08", // connection exception
        "40", // transaction rollback: serialization failure, deadlock
        "53", // insufficient resources: disk full, out of memory, too many connections
        "57", // operator intervention: shutdown, starting up, statement cancelled
        "58", // system error: I/O error
    ];
    const READ_ONLY_TRANSACTION: &str = "25006"; // a standby, before it is promoted
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    code.get(..2).is_some_and(|class| CLASSES.contains(&class))
        || [READ_ONLY_TRANSACTION, LOCK_NOT_AVAILABLE].contains(&code)
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

#[cfg(test)]
mod tests {
    use super::{postgres_may_pass, sqlite_may_pass};

    #[test]
    fn sqlite_codes_that_may_pass() {
        for (code, want) in [
            (5, true),     // SQLITE_BUSY
            (517, true),   // SQLITE_BUSY_SNAPSHOT
            (8, true),     // SQLITE_READONLY
            (1032, true),  // SQLITE_READONLY_DBMOVED
            (778, true),   // SQLITE_IOERR_WRITE
            (13, true),    // SQLITE_FULL
            (1, false),    // SQLITE_ERROR: bad SQL
            (11, false),   // SQLITE_CORRUPT
            (26, false),   // SQLITE_NOTADB
            (2067, false), // SQLITE_CONSTRAINT_UNIQUE
        ] {
            assert_eq!(sqlite_may_pass(code), want, "code = {code}");
        }
    }

    #[test]
    fn postgres_codes_that_may_pass() {
        for (code, want) in [
            ("08006", true),  // connection failure
            ("53100", true),  // disk full
            ("57P01", true),  // administrator shutdown
            ("40P01", true),  // deadlock
            ("25006", true),  // read-only transaction
            ("23505", false), // unique violation
            ("42P01", false), // undefined table
            ("28P01", false), // wrong password
            ("3D000", false), // no such database
            ("", false),
        ] {
            assert_eq!(postgres_may_pass(code), want, "code = {code}");
        }
    }
}
