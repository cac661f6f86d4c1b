//! A scripted model endpoint on loopback, for the demo, tests and benches.
//!
//! Speaks the Anthropic Messages API as a client sees it (JSON and SSE) and misbehaves on
//! request: hangs, resets, garbage, odd encodings. It is no model and checks no key; every
//! answer is decided by a [`Script`], and every request is kept as [`Seen`].
//!
//! The default script leads an agent that has a `Bash` tool through one command and a closing
//! answer. A model name with a `+` picks a [`Scene`]: `claude-opus-5-5+reset-mid-stream`.

mod asked;
mod coding;
mod conversation;
mod endpoint;
mod message;
mod play;
mod scene;
mod script;
mod socket;
mod stream;

pub use asked::{Asked, Seen};
pub use coding::Coding;
pub use endpoint::Scripted;
pub use message::{Block, Message, Tokens, error_body, error_event};
pub use play::{Answer, Content, Play, Step};
pub use scene::{Scene, SceneError};
pub use script::Script;
