//! The pipeline over a real store and a real journal, with a gateway that only echoes.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod tool_pins;
#[cfg(test)]
mod witnesses;
#[cfg(test)]
mod world;
