//! Bytes of the Messages protocol and what we read in them. No I/O; every reader is total.
//!
//! Nothing here writes a request or a reply: what passes, passes as the bytes that came. The
//! readers look beside it, at the few fields that are decided on or recorded.

pub(crate) mod coding;
pub(crate) mod head;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
