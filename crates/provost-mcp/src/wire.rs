//! Bytes of the protocol, read and made. No I/O.

pub(crate) mod asks;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod jsonrpc;
pub(crate) mod tools;
