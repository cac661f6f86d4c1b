//! Claude Code's settings and what they are worth: hooks put in, taken out, and proved.

pub(crate) mod doctor;
mod file;
mod settings;

pub(crate) use file::{Change, SettingsFile};
pub(crate) use settings::{Hooks, Managed};
