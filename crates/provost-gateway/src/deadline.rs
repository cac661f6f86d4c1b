//! A timer that is set when it is first looked at, and kept for the next use.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

#[derive(Debug, Default)]
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Deadline {
    /// What was waited for has come: the next look starts a new wait.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Resolves `after` the first look since the last [`Self::disarm`].
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, after: Duration) -> Poll<()> {
        let is_armed = std::mem::replace(&mut self.armed, true);
        let Some(sleep) = &mut self.sleep else {
            let sleep = self.sleep.insert(Box::pin(tokio::time::sleep(after)));
            return sleep.as_mut().poll(context);
        };
        if !is_armed {
            let now = Instant::now();
            sleep.as_mut().reset(now.checked_add(after).unwrap_or(now));
        }
        sleep.as_mut().poll(context)
    }
}
