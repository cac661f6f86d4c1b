//! The database and the journals, through their public methods, on SQLite and PostgreSQL.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod database;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod filter;
#[cfg(test)]
mod index;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod tools;
