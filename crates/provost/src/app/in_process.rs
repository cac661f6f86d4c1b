//! The control API without a server: the same router, called in this process.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use nix::unistd::Uid;
use provost_admin::{LocalPeer, Router};
use provost_pipeline::Purpose;
use tower::ServiceExt as _;

use super::{Core, OpenError};
use crate::{client::collected, config::Config, data_dir::DataDir};

/// A data directory opened for one command.
#[derive(Debug)]
pub(crate) struct InProcess {
    core: Core,
    router: Router,
}

impl InProcess {
    /// Opens the data directory.
    ///
    /// # Errors
    ///
    /// [`OpenError`], as [`Core::open`].
    pub(crate) async fn open(data: &DataDir, config: &Config) -> Result<Self, OpenError> {
        let core = Core::open(data, config, Purpose::Command).await?;
        let router = core.router(Box::new(String::new));
        Ok(Self { core, router })
    }

    /// Answers a request; whoever may open the data directory is its administrator.
    ///
    /// # Errors
    ///
    /// The answer's body is larger than is read.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Bytes>> {
        request.extensions_mut().insert(LocalPeer { uid: Uid::effective().as_raw() });
        match self.router.clone().oneshot(request).await {
            Ok(answer) => collected(answer).await,
            Err(never) => match never {},
        }
    }

    /// Closes the data directory.
    pub(crate) async fn close(self) {
        let Self { core, router } = self;
        drop(router);
        core.drain(Duration::ZERO).await;
        if let Err(error) = core.close().await {
            tracing::error!(%error, "the data directory was not closed in order");
        }
    }
}
