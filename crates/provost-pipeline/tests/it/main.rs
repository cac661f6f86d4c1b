//! The pipeline over a real store and a real journal, with a gateway that only echoes.

mod admission;
mod lifetimes;
mod recovery;
mod world;
