//! Opening a database: its file, its connections and their settings.

use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Once,
    time::Duration,
};

use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, any::AnyPoolOptions,
    sqlite::SqliteConnectOptions,
};

use super::{
    error::{ConnectError, StoreError, Unavailable},
    migrate,
};

/// Most connections of one process, the event index's own not counted.
const CONNECTIONS_MAX: u32 = 4;

/// How long to wait for a connection. Longer than a restart of PostgreSQL's postmaster,
/// shorter than an operator's patience.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(3);

/// How often, and after which pause, opening is tried again while somebody else switches the
/// file to its write-ahead log: SQLite refuses then at once, whatever its busy timeout.
const LOCKED_TRIES: u32 = 100;
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// Settings of a SQLite connection that keeps rows: durable at commit, foreign keys held,
/// and other processes given 5 s to finish their transaction.
const SQLITE_DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;";

/// Settings of a SQLite connection that keeps the index: consistent, but durable only with
/// the next commit of a durable connection. The log may grow to 4,000 pages (16 MiB) before
/// it is folded in: pages of the index are written again and again, and folded in once.
const SQLITE_INDEX: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; \
     PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 4000;";

/// The same two for PostgreSQL. `client_min_messages` keeps notices out of our logs.
const POSTGRES_DURABLE: &str =
    "SET synchronous_commit = on; SET client_min_messages = warning;";
const POSTGRES_INDEX: &str = "SET synchronous_commit = off; SET client_min_messages = warning;";

/// Which database it is.
pub(super) enum Backend {
    /// One file, one writer.
    Sqlite(DatabaseFile),
    /// A server.
    Postgres,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "SQLite {:?}", file.path),
            Self::Postgres => f.write_str("PostgreSQL"),
        }
    }
}

impl Backend {
    /// Fails if the database is known to be gone without asking it: SQLite goes on writing to
    /// a file that was removed.
    pub(super) fn check_present(&self, doing: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(file) if !file.is_in_place() => {
                Err(StoreError::Unavailable { doing, source: Unavailable::FileGone })
            }
            Self::Sqlite(_) | Self::Postgres => Ok(()),
        }
    }

    const fn settings(&self) -> [&'static str; 2] {
        match self {
            Self::Sqlite(_) => [SQLITE_DURABLE, SQLITE_INDEX],
            Self::Postgres => [POSTGRES_DURABLE, POSTGRES_INDEX],
        }
    }
}

/// The file that was opened, and which one it was.
pub(super) struct DatabaseFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl DatabaseFile {
    /// Creates the file if it is missing, and takes it from group and others. SQLite gives its
    /// log and index files the mode of the database.
    fn prepare(path: &Path) -> io::Result<Self> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    fn is_in_place(&self) -> bool {
        fs::metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode)
    }
}

/// The URL of a SQLite database at the absolute `path`, with what a URL reserves escaped.
pub fn sqlite_url(path: &Path) -> String {
    let mut url = "sqlite://".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                url.push(byte.into());
            }
            _ => {
                url.push('%');
                url.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    url
}

/// Opens the database and brings its schema up to date; gives the pool for rows and the pool
/// for the index.
pub(super) async fn connect(url: &str) -> Result<(Backend, AnyPool, AnyPool), ConnectError> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);

    let backend = backend(url)?;
    migrate_first(&backend, url).await?;
    let [durable, index] = backend.settings();
    let pool = pool(url, durable, CONNECTIONS_MAX)?;
    let index_pool = self::pool(url, index, 1)?;
    Ok((backend, pool, index_pool))
}

fn backend(url: &str) -> Result<Backend, ConnectError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Backend::Postgres);
    }
    if !url.starts_with("sqlite:///") {
        return Err(ConnectError::Url);
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|_| ConnectError::Url)?;
    DatabaseFile::prepare(options.get_filename())
        .map(Backend::Sqlite)
        .map_err(|source| ConnectError::File { source })
}

/// Uses a connection of its own, because a pool says of any trouble only that it timed out.
async fn migrate_first(backend: &Backend, url: &str) -> Result<(), ConnectError> {
    let [durable, _] = backend.settings();
    let failed = StoreError::driver("connect");
    let connecting = first_connection(url, durable);
    let mut connection = match tokio::time::timeout(CONNECT_WAIT_MAX, connecting).await {
        Ok(connected) => connected.map_err(failed)?,
        Err(_) => return Err(StoreError::silent("connect", CONNECT_WAIT_MAX).into()),
    };
    migrate::migrate(backend, &mut connection).await?;
    connection.close().await.map_err(StoreError::driver("disconnect"))?;
    Ok(())
}

async fn first_connection(
    url: &str,
    settings: &'static str,
) -> Result<AnyConnection, sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    for _ in 0..LOCKED_TRIES {
        match connection.execute(sqlx::raw_sql(settings)).await {
            Err(error) if is_sqlite_busy(&error) => tokio::time::sleep(LOCKED_PAUSE).await,
            done => return done.map(|_| connection),
        }
    }
    connection.execute(sqlx::raw_sql(settings)).await.map(|_| connection)
}

/// `SQLITE_BUSY`, `SQLITE_BUSY_RECOVERY` and `SQLITE_BUSY_SNAPSHOT`.
fn is_sqlite_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("5" | "261" | "517"))
}

fn pool(
    url: &str,
    settings: &'static str,
    connections_max: u32,
) -> Result<AnyPool, ConnectError> {
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(CONNECT_WAIT_MAX)
        .after_connect(move |connection, _| {
            Box::pin(
                async move { connection.execute(sqlx::raw_sql(settings)).await.map(|_| ()) },
            )
        })
        // SQLite rolls back by itself when the disk is full, and the connection goes on
        // counting the transaction: such a one is thrown away, or it would refuse for ever.
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .connect_lazy(url)
        .map_err(|_| ConnectError::Url)
}
