//! The endpoint as a client sees it, over real sockets.

#[cfg(test)]
mod client;
#[cfg(test)]
mod conversation;
#[cfg(test)]
mod scenes;
