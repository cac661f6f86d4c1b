//! `provost serve`: opens the data directory, starts the listeners, drains at the end.

mod control;
mod mcp;
mod oauth;
mod planes;
mod retention;

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use nix::unistd::Uid;
use provost_admin::{ControlSocket, serve_unix};
use provost_gateway::{EgressLimits, Governed, HttpServer, Limits, Tls, TlsFiles, Upstream};
use provost_hook::HookPlane;
use provost_llm::{LlmPlane, LlmService};
use provost_mcp::McpService;
use provost_pipeline::Purpose;
use provost_secrets::SecretName;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::Core,
    config::Config,
    data_dir::DataDir,
    printer::Printer,
    run_file::RunFile,
    telemetry::{Telemetry, UPKEEP_EVERY},
};
use control::Control;
use planes::Planes;

/// How often the files of the certificate are looked at.
const TLS_LOOK_EVERY: Duration = Duration::from_secs(10);
/// Largest body of a control request. Unit: bytes.
const CONTROL_BODY_BYTES_MAX: usize = 1 << 20;

/// Serves until SIGTERM or SIGINT; a second one cuts what is still in flight.
///
/// # Errors
///
/// The server could not start, or its end was not recorded.
pub(crate) async fn serve(data: &DataDir, config: &Config, printer: Printer) -> Result<()> {
    let telemetry = Telemetry::start(&config.telemetry)?;
    let mut stop_asked = StopAsked::listen().context("cannot listen for signals")?;
    let core = Core::open(data, config, Purpose::Serve).await?;
    let listeners = Listeners::bind(data, config).await?;
    let run_file = listeners.run_file(config)?;
    let serving = Serving::default();
    serving.start((listeners, &run_file), &core, config, &telemetry)?;
    run_file.write(&data.run_file())?;
    printer.answer(&run_file, |run| {
        format!("gateway {}\ncontrol {}", run.gateway_url(), run.control_url())
    })?;

    stop_asked.recv().await;
    tracing::info!("stopping");
    let removed = std::fs::remove_file(data.run_file());
    serving.shutdown.cancel();
    let cut = tokio::select! {
        cut = core.drain(config.limits.drain) => cut,
        () = stop_asked.recv() => core.drain(Duration::ZERO).await,
    };
    serving.programs.cancel();
    serving.tasks.close();
    serving.tasks.wait().await;
    core.close().await?;
    tracing::info!(cut, "stopped");
    telemetry.end();
    removed.context("run.json could not be removed")
}

/// What the server listens on, bound and not yet served.
struct Listeners {
    gateway: TcpListener,
    control: TcpListener,
    socket: ControlSocket,
}

impl Listeners {
    async fn bind(data: &DataDir, config: &Config) -> Result<Self> {
        let bound = |key, address| async move {
            let bound = TcpListener::bind(address).await;
            bound.with_context(|| format!("cannot listen on {address} ({key})"))
        };
        Ok(Self {
            gateway: bound("listen.gateway", config.listen.gateway).await?,
            control: bound("listen.control", config.listen.control).await?,
            socket: ControlSocket::bind(&data.control_socket(), Uid::effective().as_raw())?,
        })
    }

    fn run_file(&self, config: &Config) -> Result<RunFile> {
        let address =
            |listener: &TcpListener| listener.local_addr().context("no local address");
        Ok(RunFile {
            gateway: address(&self.gateway)?,
            control: address(&self.control)?,
            tls: config.tls.is_some(),
            pid: std::process::id(),
        })
    }
}

/// What serves, and what makes it end.
#[derive(Default)]
struct Serving {
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Ends the programs of MCP servers, once nothing is in flight.
    programs: CancellationToken,
}

impl Serving {
    fn start(
        &self,
        (listeners, run_file): (Listeners, &RunFile),
        core: &Core,
        config: &Config,
        telemetry: &Telemetry,
    ) -> Result<()> {
        let (tls, limits) = (self.tls(config)?, limits(config));
        let serve = self.planes(core, config, run_file)?;
        let gateway = HttpServer { serve, limits, tls: tls.clone() };

        let metrics = telemetry.metrics.clone();
        let router = core.router(Box::new(move || metrics.render()));
        let limits = Limits { body_bytes_max: CONTROL_BODY_BYTES_MAX, ..limits };
        let control = HttpServer { serve: Control::new(router.clone()), limits, tls };

        let (tasks, shutdown) = (&self.tasks, || self.shutdown.clone());
        tasks.spawn(gateway.listen(listeners.gateway, shutdown(), tasks.clone()));
        tasks.spawn(control.listen(listeners.control, shutdown(), tasks.clone()));
        tasks.spawn(serve_unix(listeners.socket, router, shutdown()));
        tasks.spawn(retention::keep(core, config.bodies.retention_days, shutdown()));
        tasks.spawn(upkeep(telemetry, shutdown()));
        Ok(())
    }

    fn planes(&self, core: &Core, config: &Config, run_file: &RunFile) -> Result<Planes> {
        let protected = oauth::trust(core, config, run_file.gateway_url())?;
        let programs = (self.tasks.clone(), self.programs.clone());
        let pipeline = || Arc::clone(&core.pipeline);
        Ok(Planes {
            llm: LlmService::new(pipeline(), llm(core, config)?),
            hook: Governed { pipeline: pipeline(), plane: HookPlane },
            mcp: McpService::new(
                pipeline(),
                mcp::plane(core, config, programs, protected.clone())?
                    .until(self.shutdown.clone()),
                self.tasks.clone(),
            ),
            protected,
        })
    }

    /// The certificate of both listeners, looked at again and again.
    fn tls(&self, config: &Config) -> Result<Option<Arc<Tls>>> {
        let Some(files) = config.tls.clone() else { return Ok(None) };
        let tls = Arc::new(Tls::load(TlsFiles { certificates: files.cert, key: files.key })?);
        self.tasks.spawn(Arc::clone(&tls).watch(TLS_LOOK_EVERY, self.shutdown.clone()));
        Ok(Some(tls))
    }
}

fn llm(core: &Core, config: &Config) -> Result<LlmPlane> {
    let llm = &config.llm;
    let limits = EgressLimits {
        connect_timeout: llm.connect_timeout,
        head_timeout: llm.head_timeout,
        ..EgressLimits::default()
    };
    let base = llm.upstream.parse().context("llm.upstream")?;
    let upstream =
        Upstream::new(base, llm.ca_file.as_deref(), limits).context("llm.ca_file")?;
    let secret = secret(core, &llm.secret).context("llm.secret")?;
    Ok(LlmPlane::new(upstream, Arc::clone(&core.vault), secret))
}

/// The name of a credential, which may be stored later.
fn secret(core: &Core, name: &str) -> Result<SecretName> {
    let secret: SecretName = name.parse()?;
    if !core.vault.holds(&secret) {
        tracing::warn!(%secret, "no such credential is stored yet: provost secret set {secret}");
    }
    Ok(secret)
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        connections_max: limits.connections_max,
        header_bytes_max: limits.header_bytes_max,
        headers_max: limits.headers_max,
        header_read_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        body_bytes_max: limits.body_bytes_max,
        body_idle_timeout: limits.body_idle_timeout,
        body_read_timeout: limits.body_timeout,
        bodies_bytes_max: limits.bodies_bytes_max,
        write_idle_timeout: limits.write_idle_timeout,
        ..Limits::default()
    }
}

/// Folds what was counted into what is told, until `shutdown`.
fn upkeep(
    telemetry: &Telemetry,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let metrics = telemetry.metrics.clone();
    async move {
        while tokio::time::timeout(UPKEEP_EVERY, shutdown.cancelled()).await.is_err() {
            metrics.run_upkeep();
        }
    }
}

/// The signals that ask a server to stop.
struct StopAsked {
    terminate: Signal,
    interrupt: Signal,
}

impl StopAsked {
    fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
