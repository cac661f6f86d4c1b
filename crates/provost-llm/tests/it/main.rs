//! The llm plane over a real pipeline, a real upstream connection and a scripted model.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod world;
