//! One client's server: what it can do, and which part answers which request.

// Sampling, roots and logging are deprecated from 2026-07-28 on, and asked for before.
#![expect(deprecated, reason = "the older revisions are tested as well")]

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, RequestStateCodec, ServerConfig, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
    transport::streamable_http_server::session::local::LocalSessionManager,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Mutex, broadcast};

use crate::{content, inputs, tools};

/// Changes that a subscriber may be behind. Source: a scenario makes one at a time.
const CHANGES_MAX: usize = 16;
/// Seals what a client has to bring back. No secret: it guards a test against itself.
const STATE_KEY: &[u8; 32] = b"a fixture has no secrets to keep";

/// What the servers of all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The sessions of the older revisions.
    pub(crate) sessions: Arc<LocalSessionManager>,
    /// Tells subscribers what has changed.
    pub(crate) changes: broadcast::Sender<Change>,
    /// Seals and opens what a client has to bring back.
    pub(crate) states: RequestStateCodec,
}

/// A list that a subscriber may want to read again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Tools,
    Prompts,
}

/// The server of one session, or of one request where there are no sessions.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    /// From before the subscription is acknowledged, so that nothing after that is missed.
    changes: Mutex<broadcast::Receiver<Change>>,
}

impl Shared {
    pub(crate) fn new(sessions: Arc<LocalSessionManager>) -> Self {
        let changes = broadcast::Sender::new(CHANGES_MAX);
        Self { sessions, changes, states: RequestStateCodec::new(*STATE_KEY) }
    }
}

impl Server {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let changes = Mutex::new(shared.changes.subscribe());
        Self { shared: Arc::clone(shared), changes }
    }
}

/// True from the revision on that has no sessions.
pub(crate) fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// The protocol's type for a value that is written out here.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// A result, with the mark of a whole one that the older revisions are spared.
pub(crate) fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    if let Some(members) = value.as_object_mut() {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    typed(value)
}

type Page = Option<PaginatedRequestParams>;
type Context = RequestContext<RoleServer>;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "completions": {},
            "logging": {},
            "prompts": {"listChanged": true},
            "resources": {"subscribe": true, "listChanged": true},
            "tools": {"listChanged": true},
        });
        let capabilities = serde_json::from_value(capabilities).unwrap_or_default();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("provost-mcp-fixture", "0.0.0"))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tools: ListToolsResult = typed(tools::list()).ok()?;
        tools.tools.into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(&self, _: Page, _: Context) -> Result<ListToolsResult, ErrorData> {
        result(tools::list())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let input = inputs::Input {
            name: &request.name,
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
        };
        match inputs::answer(&input, &self.shared.states, &context)? {
            Some(inputs::Answer::Wants(wants)) => Ok(wants.into()),
            Some(inputs::Answer::Says(text)) => tools::says(&text),
            None => tools::call(self, &request, &context).await,
        }
    }

    async fn list_resources(
        &self,
        _: Page,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        result(content::resources())
    }

    async fn list_resource_templates(
        &self,
        _: Page,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        result(content::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        content::resource(&request.uri).map(ReadResourceResponse::Complete)
    }

    async fn list_prompts(&self, _: Page, _: Context) -> Result<ListPromptsResult, ErrorData> {
        result(content::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let input = inputs::Input {
            name: &request.name,
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
        };
        match inputs::answer(&input, &self.shared.states, &context)? {
            Some(inputs::Answer::Wants(wants)) => Ok(wants.into()),
            Some(inputs::Answer::Says(text)) => {
                result(content::said(&text)).map(GetPromptResponse::Complete)
            }
            None => content::prompt(&request).map(GetPromptResponse::Complete),
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        result(content::completion(&request.argument.value))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.lock().await;
        let sink = subscription.sink();
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // The sink refuses what the subscriber did not ask for, which is not an error.
            match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await.ok(),
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await.ok(),
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }
}
