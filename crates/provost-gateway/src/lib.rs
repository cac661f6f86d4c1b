//! What gateways share: the HTTP driver, its limits, TLS, and the one way out to upstreams.
//!
//! Knows no plane: it frames requests into [`HttpAsk`]s, hands each to the pipeline, and
//! writes the [`HttpFrame`]s that come back. It decides nothing but sizes and times.
//!
//! The only crate that listens for agents, and the only one that dials upstreams or starts
//! them: both against a [`provost_pipeline::Permit`] alone. What Provost asks for itself, of
//! authorization servers, goes through [`Errands`].

pub mod child;
mod deadline;
mod egress;
mod hop;
mod http;
mod limits;
mod plane;
mod present;
mod reply_head;
pub mod sse;
mod tls;
mod tool_call;

pub use egress::{
    BaseUrl, BaseUrlError, EgressError, EgressLimits, EgressSetupError, ErrandError, Errands,
    Upstream, UpstreamBody, is_loopback,
};
pub use hop::strip_hop_by_hop;
pub use http::{Governed, HttpServer, Serve};
pub use limits::Limits;
pub use plane::{HttpAsk, HttpFrame, HttpPlane};
pub use present::{present, present_at};
pub use reply_head::{ACTION_HEADER, Form, name_action};
pub use tls::{Reload, Tls, TlsError, TlsFiles};
pub use tool_call::{CORRELATION_BYTES_MAX, ToolCall, printable};
