//! Bytes of the Messages protocol and what we read in them. No I/O; every reader is total.
//!
//! What passes, passes as the bytes that came; the readers look beside it, at the few fields
//! that are decided on or recorded. Only a tool call that is denied is written anew.

pub(crate) mod coding;
pub(crate) mod conversation;
pub(crate) mod gate;
pub(crate) mod head;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod turn;
pub(crate) mod whole;
