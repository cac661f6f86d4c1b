//! What a program complains about: into our log, as much of it as a log can bear.
//!
//! Read without pause, so that a program never waits for its complaints to be heard.

use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::watch,
    time::{Duration, sleep},
};

use super::{Ending, lines::held_open};

/// Most lines of one program that are logged in a second. Ours: a stack trace in two.
const LOG_LINES_PER_SECOND: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);
/// Longest line that is logged; of a longer one, its beginning. Unit: bytes.
pub(super) const LOG_LINE_BYTES_MAX: usize = 4096;
/// Read at once. Unit: bytes.
const READ_BYTES: usize = 8192;

/// Logs what comes, until the stream ends, or the program does and another process holds the
/// stream open.
pub(super) async fn log(
    server: String,
    mut stderr: impl AsyncRead + Unpin,
    secrets: Vec<(String, SecretString)>,
    ended: watch::Receiver<Option<Ending>>,
) {
    let secrets = Secrets::new(&secrets);
    let (mut excerpts, mut quota) = (Excerpts::default(), Quota::default());
    let mut second = std::pin::pin!(sleep(SECOND));
    let mut held_open = std::pin::pin!(held_open(ended));
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            biased;
            () = &mut second, if !quota.is_fresh() => {
                tell_unlogged(&server, quota.renew());
                continue;
            }
            read = stderr.read(&mut buffer) => read.unwrap_or(0),
            () = &mut held_open => 0,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        excerpts.push(bytes, |excerpt| {
            if quota.is_fresh() {
                second.set(sleep(SECOND));
            }
            if quota.take() {
                let line = secrets.hide(excerpt);
                tracing::info!(server, line, "program complained");
            }
        });
        if read == 0 {
            tell_unlogged(&server, quota.renew());
            return;
        }
    }
}

fn tell_unlogged(server: &str, lines: u64) {
    if lines > 0 {
        tracing::info!(server, lines, "program complained more than is logged");
    }
}

/// How much may be logged still.
#[derive(Debug, Default)]
pub(super) struct Quota {
    asked: u64,
}

impl Quota {
    /// Whether nothing was asked for since it was renewed.
    pub(super) fn is_fresh(&self) -> bool {
        self.asked == 0
    }

    /// Whether another line may be logged.
    pub(super) fn take(&mut self) -> bool {
        self.asked = self.asked.saturating_add(1);
        self.asked <= u64::from(LOG_LINES_PER_SECOND)
    }

    /// A second is over; gives how many lines were not logged in it.
    pub(super) fn renew(&mut self) -> u64 {
        std::mem::take(&mut self.asked).saturating_sub(LOG_LINES_PER_SECOND.into())
    }
}

/// A line, or its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt<'a> {
    Whole(&'a [u8]),
    Beginning(&'a [u8]),
}

/// Bytes cut into lines, of which only the beginnings are kept.
#[derive(Debug, Default)]
pub(super) struct Excerpts {
    line: Vec<u8>,
    is_longer: bool,
}

impl Excerpts {
    /// Takes the next bytes; no bytes are the end. Empty lines are passed over.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Excerpt<'_>)) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            self.keep(line);
            self.give(&mut each);
            rest = behind.get(1..).unwrap_or_default();
        }
        self.keep(rest);
        if bytes.is_empty() {
            self.give(&mut each);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LOG_LINE_BYTES_MAX.saturating_sub(self.line.len());
        let (kept, left) = bytes.split_at(room.min(bytes.len()));
        self.line.extend_from_slice(kept);
        self.is_longer |= !left.is_empty();
    }

    fn give(&mut self, each: &mut impl FnMut(Excerpt<'_>)) {
        if self.is_longer {
            each(Excerpt::Beginning(&self.line));
        } else if !self.line.is_empty() {
            each(Excerpt::Whole(&self.line));
        }
        self.line.clear();
        self.is_longer = false;
    }
}

/// The secrets in a program's environment, to be left out of its complaints. A precaution:
/// a program can say a secret in more ways than as it is.
pub(super) struct Secrets(Vec<(String, SecretString)>);

impl Secrets {
    /// A secret of several lines is left out line by line. Longer ones come first, for they
    /// may hold shorter ones.
    pub(super) fn new(secrets: &[(String, SecretString)]) -> Self {
        let lines = secrets.iter().flat_map(|(name, value)| {
            let lines = value.expose_secret().lines().map(str::trim);
            lines.map(move |line| (format!("[{name}]"), SecretString::from(line)))
        });
        let mut lines: Vec<_> = lines.filter(|(_, line)| length(line) > 0).collect();
        lines.sort_by_key(|(_, line)| std::cmp::Reverse(length(line)));
        Self(lines)
    }

    /// The text without secrets, and without characters that could write to a terminal.
    pub(super) fn hide(&self, excerpt: Excerpt<'_>) -> String {
        let (Excerpt::Whole(line) | Excerpt::Beginning(line)) = excerpt;
        let mut text = String::from_utf8_lossy(line).into_owned();
        for (shown, line) in &self.0 {
            text = text.replace(line.expose_secret(), shown);
        }
        if matches!(excerpt, Excerpt::Beginning(_)) {
            // A secret may be cut in two where the line was cut, and a character as well.
            let longest = self.0.first().map_or(0, |(_, line)| length(line));
            let cut = longest.saturating_add(char::MAX_LEN_UTF8);
            text.truncate(text.floor_char_boundary(text.len().saturating_sub(cut)));
            text.push('…');
        }
        text.replace(char::is_control, " ")
    }
}

fn length(secret: &SecretString) -> usize {
    secret.expose_secret().len()
}
