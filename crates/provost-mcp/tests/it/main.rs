//! The mcp plane against a scripted server, through a whole pipeline.

#[cfg(test)]
mod all;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod world;
