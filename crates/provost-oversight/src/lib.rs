//! What reaches the people who answer for agents: the card of a held action, as text.
//!
//! Every channel shows the same card, made here and nowhere else. Half of it is the agent's own
//! words, and those are hostile: they are quoted line by line, nothing in them is invisible,
//! and nothing in them can look like a line of ours.

mod card;
mod diff;
mod quote;

pub use card::{Size, card};
pub use quote::{is_visible, visible};
