//! The driver over real sockets: what clients do, good and bad, and what comes of it.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod child;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod governed;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;
