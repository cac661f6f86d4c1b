//! A PostgreSQL server of our own: started, proved to be ours, and ended with the test.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use sqlx::{Connection, Executor, PgConnection, Row};
use tempfile::TempDir;

/// Ports are chosen, given back and taken again: somebody may be faster.
const STARTS_MAX: usize = 5;

/// A running server. Ended and removed when dropped.
pub(crate) struct Postgres {
    server: Option<Child>,
    bin: PathBuf,
    home: TempDir,
    owner: Option<(u32, u32)>,
    port: u16,
    databases: AtomicU32,
}

/// Starts a server, or says loudly why `test` is skipped. Where every client is required, a
/// missing server fails the test.
pub(crate) async fn postgres_or_skip(test: &str) -> Option<Postgres> {
    let Some(bin) = find() else {
        println!("SKIPPED: {test} because no PostgreSQL is installed (initdb, postgres)");
        #[expect(clippy::disallowed_methods, reason = "a test has no configuration to ask")]
        let required = env::var_os("PROVOST_REQUIRE_CLIENTS").is_some_and(|value| value == "1");
        assert!(!required, "PostgreSQL is required here, and is not installed");
        return None;
    };
    Some(Postgres::start(bin).await)
}

impl Postgres {
    async fn start(bin: PathBuf) -> Self {
        let home = tempfile::Builder::new().prefix("provost-pg-").tempdir().unwrap();
        let owner = owner(home.path());
        if let Some((user, group)) = owner {
            chown(home.path(), Some(user), Some(group)).unwrap();
        }
        let mut postgres =
            Self { server: None, bin, home, owner, port: 0, databases: AtomicU32::new(0) };
        postgres.initialise();
        for _ in 0..STARTS_MAX {
            postgres.port = free_port();
            if postgres.up().await {
                return postgres;
            }
        }
        panic!("PostgreSQL did not start on any of {STARTS_MAX} ports");
    }

    /// Makes an empty database; gives its URL.
    pub(crate) async fn create_database(&self) -> String {
        let name = format!("provost_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.unwrap();
        self.url(&name)
    }

    /// Stops the server, as an administrator would who is in a hurry.
    pub(crate) fn down(&mut self) {
        if let Some(server) = self.server.take() {
            end(server).unwrap();
        }
    }

    /// Starts the server on its port. Gives whether it is the one that answers there.
    pub(crate) async fn up(&mut self) -> bool {
        let mut server = self
            .command("postgres")
            .args(["-D".as_ref(), self.cluster().as_os_str()])
            .args(["-k".as_ref(), self.home.path().as_os_str()])
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = server.stderr.take().unwrap();
        self.server = Some(server);
        is_ready(log) && self.is_ours().await
    }

    fn initialise(&self) {
        let Output { status, stderr, .. } = self
            .command("initdb")
            .args(["-D".as_ref(), self.cluster().as_os_str()])
            .args(["-U", "provost", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
            .output()
            .unwrap();
        assert!(status.success(), "initdb failed: {}", String::from_utf8_lossy(&stderr));
    }

    /// Asks who answers: on a shared machine it may be another test's server.
    async fn is_ours(&self) -> bool {
        let Ok(mut connection) = PgConnection::connect(&self.url("postgres")).await else {
            return false;
        };
        let row = connection.fetch_one("SHOW data_directory").await.unwrap();
        Path::new(row.get::<&str, _>(0)) == self.cluster()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_remove("PGDATA").env("LC_ALL", "C").current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn cluster(&self) -> PathBuf {
        self.home.path().join("cluster")
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://provost@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.server.take().map(end) {
            println!("the PostgreSQL server was not ended: {error}");
        }
    }
}

/// Interrupts the server by its id and waits for its end. A killed one would leave shared
/// memory behind.
fn end(mut server: Child) -> io::Result<()> {
    Command::new("kill").args(["-INT", &server.id().to_string()]).status()?;
    server.wait()?;
    Ok(())
}

/// Reads the server's log until it says that it serves, and then on, so that it can write.
fn is_ready(log: ChildStderr) -> bool {
    let (ready, readiness) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(io::Result::ok) {
            if line.contains("ready to accept connections") {
                let _ = ready.send(());
            }
        }
    });
    readiness.recv().is_ok()
}

/// The directory that has both programs.
fn find() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where programs are is the machine's to say")]
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    for versions in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        places.push(versions.path().join("bin"));
    }
    places.push("/usr/local/bin".into());
    places
        .into_iter()
        .find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}

/// The user and group to run as: PostgreSQL refuses to run as root, so as root it is nobody.
fn owner(ours: &Path) -> Option<(u32, u32)> {
    if fs::metadata(ours).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = users.lines().find_map(|line| line.strip_prefix("nobody:"));
    let mut ids = nobody.unwrap_or("x:65534:65534").split(':').skip(1).map(str::parse);
    match (ids.next(), ids.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Some((user, group)),
        _ => panic!("/etc/passwd does not say who nobody is"),
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
