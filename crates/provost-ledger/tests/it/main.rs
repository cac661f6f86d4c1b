//! The ledger's format from outside: what is written, what is proved, what is found out.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod events;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod segments;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod trees;
#[cfg(test)]
mod verification;
