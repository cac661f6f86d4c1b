//! How much a listener takes from those it does not know yet.

use std::time::Duration;

/// Bounds of one listener. Whatever exceeds one is cut, and recorded where it was a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once; more wait in the system's backlog.
    pub connections_max: usize,
    /// Largest request head. Unit: bytes; at least 8,192.
    pub header_bytes_max: usize,
    /// Most header fields of a request. 100 costs nothing extra.
    pub headers_max: usize,
    /// Longest wait for a whole request head, from its first byte; and for the first request
    /// of a connection, TLS handshake included, from its start.
    pub header_read_timeout: Duration,
    /// Rest of a connection between two requests after which it is closed: at the latest
    /// after twice as long, since requests do not set a timer each.
    pub idle_timeout: Duration,
    /// Largest request body. Unit: bytes.
    pub body_bytes_max: usize,
    /// Longest silence in the middle of a request body.
    pub body_idle_timeout: Duration,
    /// Longest time for a whole request body.
    pub body_read_timeout: Duration,
    /// Most bytes of bodies held at once, over all connections, beyond the first 64 KiB of
    /// each. A body waits for room, at most as long as it may be silent.
    pub bodies_bytes_max: usize,
    /// Most reply frames that wait for a slow client, per request.
    pub frames_max: usize,
    /// Longest time a client may take nothing while bytes for it are waiting.
    pub write_idle_timeout: Duration,
}

impl Default for Limits {
    /// Sized for agents: bodies of 50 kB to a few MB, streams of many minutes, hours between
    /// a conversation's turns.
    fn default() -> Self {
        Self {
            connections_max: 4096,
            header_bytes_max: 64 * 1024,
            headers_max: 100,
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            body_bytes_max: 32 * 1024 * 1024,
            body_idle_timeout: Duration::from_secs(30),
            body_read_timeout: Duration::from_secs(300),
            bodies_bytes_max: 512 * 1024 * 1024,
            frames_max: 32,
            write_idle_timeout: Duration::from_secs(120),
        }
    }
}
