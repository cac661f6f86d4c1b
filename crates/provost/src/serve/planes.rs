//! The planes behind the gateway's listener, told apart by path.

use http::request;
use provost_gateway::{Governed, HttpAsk, HttpFrame, Serve};
use provost_hook::HookPlane;
use provost_llm::LlmService;
use provost_mcp::{McpService, Protected};
use provost_pipeline::{Malformed, Reply};

/// Every plane that is spoken over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    pub(super) llm: LlmService,
    pub(super) hook: Governed<HookPlane>,
    pub(super) mcp: McpService,
    /// What clients of the mcp plane are told of OAuth, if its tokens count.
    pub(super) protected: Option<Protected>,
}

/// Which plane a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Hook,
    Mcp,
    /// Where access tokens for the mcp plane are had.
    Metadata,
    /// The model's, and whatever belongs to nobody: it says what there is.
    Llm,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            provost_hook::PATH => Self::Hook,
            provost_mcp::ALL => Self::Mcp,
            _ if path.starts_with(provost_mcp::PATH) => Self::Mcp,
            _ if path.starts_with(provost_mcp::METADATA) => Self::Metadata,
            _ => Self::Llm,
        }
    }
}

impl Serve for Planes {
    async fn run(&self, ask: HttpAsk, reply: Reply<HttpFrame>) {
        match Route::of(ask.parts.uri.path()) {
            Route::Hook => self.hook.run(ask, reply).await,
            Route::Mcp => self.mcp.run(ask, reply).await,
            Route::Metadata => self.tell(ask, reply).await,
            Route::Llm => self.llm.run(ask, reply).await,
        }
    }

    async fn refuse(&self, head: request::Parts, malformed: Malformed) -> HttpFrame {
        match Route::of(head.uri.path()) {
            Route::Hook => self.hook.refuse(head, malformed).await,
            Route::Mcp => self.mcp.refuse(head, malformed).await,
            Route::Metadata | Route::Llm => self.llm.refuse(head, malformed).await,
        }
    }

    async fn note_headless(&self, malformed: Malformed) {
        self.llm.note_headless(malformed).await;
    }
}

impl Planes {
    /// Tells where access tokens are had. No action of anybody's: who asks has no token yet.
    async fn tell(&self, ask: HttpAsk, mut reply: Reply<HttpFrame>) {
        let Some(protected) = &self.protected else { return self.llm.run(ask, reply).await };
        let metadata = HttpFrame::Whole(protected.metadata(&ask.parts));
        if reply.send(metadata).await.is_err() {
            tracing::debug!("client left before it was told where tokens are had");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn a_path_belongs_to_one_plane() {
        for (path, want) in [
            ("/hook", Route::Hook),
            ("/hook/", Route::Llm),
            ("/mcp/github", Route::Mcp),
            ("/mcp/", Route::Mcp),
            ("/mcp", Route::Mcp),
            ("/mcps", Route::Llm),
            ("/.well-known/oauth-protected-resource/mcp/github", Route::Metadata),
            ("/.well-known/oauth-protected-resource", Route::Llm),
            ("/v1/messages", Route::Llm),
            ("/", Route::Llm),
        ] {
            assert_eq!(Route::of(path), want, "{path}");
        }
    }
}
