//! What the server tells about itself: log lines, metrics, traces.
//!
//! Lines go to standard error, numbers to whoever asks `/metrics`, spans to an OTLP collector
//! if one is named. None of them ever carries a body or a secret.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    runtime::Tokio,
    trace::{SdkTracerProvider, span_processor_with_async_runtime::BatchSpanProcessor},
};
use provost_pipeline::trace;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{ParseError, filter_fn},
    layer::SubscriberExt as _,
    registry,
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::config::{LogFormat, Telemetry as Config};

/// Bounds of every histogram of seconds. Unit: seconds. From what a gateway adds to a request
/// to what a model takes for an answer.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0,
    60.0, 300.0,
];
/// How often what was counted is folded into what is told.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Telemetry that runs; ends with [`Telemetry::end`].
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// Renders what was counted.
    pub(crate) metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
}

/// Telemetry that could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// What is to be logged is not understood.
    #[error("`telemetry.log` is not understood")]
    Log(#[from] ParseError),
    /// The exporter of traces cannot be made.
    #[error("traces cannot be sent")]
    Traces(#[from] ExporterBuildError),
    /// Metrics cannot be counted.
    #[error("metrics cannot be counted")]
    Metrics(#[from] BuildError),
    /// It runs already.
    #[error("logging runs already")]
    Started(#[from] TryInitError),
}

impl Telemetry {
    /// Starts telling, for the whole process.
    ///
    /// # Errors
    ///
    /// [`TelemetryError`]; nothing is told then.
    pub(crate) fn start(config: &Config) -> Result<Self, TelemetryError> {
        let traces = config.otlp_endpoint.as_deref().map(exporter).transpose()?;
        let spans = traces.as_ref().map(|traces| {
            let tracer = traces.tracer("provost");
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_filter(filter_fn(|metadata| metadata.target() == trace::TARGET))
        });
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match config.format {
            LogFormat::Text => lines.with_ansi(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        // Spans for the collector are none of the log's business, and cost nothing there.
        let logged = EnvFilter::try_new(&config.log)?
            .add_directive(format!("{}=off", trace::TARGET).parse()?);
        // A list, for a layer that is `None` would enable every span.
        let mut layers = vec![lines.with_filter(logged).boxed()];
        layers.extend(spans.map(|spans| spans.boxed()));
        registry().with(layers).try_init()?;
        let metrics = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .install_recorder()?;
        Ok(Self { metrics, traces })
    }

    /// Sends what was not sent yet.
    pub(crate) fn end(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Log lines of a command that serves nobody: only what is wrong, unless `RUST_LOG` says more.
pub(crate) fn start_for_command() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::ERROR.into())
        .from_env_lossy();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second start in one process changes nothing.
    let _started = registry().with(filter).with(lines).try_init();
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name("provost").build();
    // On our runtime: the exporter's connections need one, and the default processor runs on a
    // thread of its own that has none, where every batch is lost without a word.
    let batches = BatchSpanProcessor::builder(exporter, Tokio).build();
    let builder = SdkTracerProvider::builder().with_span_processor(batches);
    Ok(builder.with_resource(resource).build())
}
