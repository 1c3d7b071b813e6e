//! The daemon: it listens, answers, and ends when it is told to.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutWriter;

use super::http::{Daemon, Guard, router};
use super::linger::Linger;
use super::meter::Meter;
use super::models::Models;
use super::names::Names;
use super::settings::{Limits, Listen, Settings};
#[cfg(unix)]
use super::socket::Socket;
use super::{Bounds, BoundsError, Log};
use crate::engine::hub_cache;
use crate::runner::{Plan, PlanError, PlanOptions};
use crate::workspace::Fence;

/// How often it looks for models that nobody asks for any more.
const GLANCE: Duration = Duration::from_secs(1);

/// After a connection could not be accepted (there are too many open files), it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a daemon could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("can't listen on {place}: {source}")]
    Listen { place: String, source: io::Error },
    #[error(
        "{address} can be reached from other machines, and there is no token\nhint: write one to a file and give it as --token-file, or set SWAY_TOKEN"
    )]
    NeedsToken { address: SocketAddr },
    #[error("can't allow {folder}: {source}")]
    Allow { folder: String, source: io::Error },
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("can't preload {suite}: {source}")]
    Suite { suite: String, source: Box<PlanError> },
    #[error("can't preload {suite}: {message}")]
    Model { suite: String, message: String },
    #[error("can't start: {0}")]
    System(#[from] io::Error),
}

/// Where a daemon can be asked, once it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Url(String),
    Socket(PathBuf),
}

/// Serves until the process is told to end (SIGTERM, or Ctrl-C); what is in progress then is finished, as far as time allows.
///
/// `ready` hears where it listens, once it does.
///
/// # Errors
/// Why it could not be started.
pub fn serve(settings: Settings, log: Log, ready: impl FnOnce(&Address)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(run(settings, log, ready));
    // What blocks in a load is not waited for.
    runtime.shutdown_background();
    served
}

async fn run(settings: Settings, log: Log, ready: impl FnOnce(&Address)) -> Result<(), ServeError> {
    let told_to_stop = stop_signal()?;
    tokio::pin!(told_to_stop);
    let bounds = Bounds { max_models: settings.max_models, max_bytes: settings.max_bytes };
    let models = Models::new(bounds, Arc::clone(&log))?;
    let (listener, address) = Listener::open(&settings).await?;
    let (idle_timeout, preload) = (settings.idle_timeout, settings.preload.clone());
    let daemon = Arc::new(Daemon::new(&settings, models, listener.address(), log)?);
    let loader = Arc::clone(&daemon);
    tokio::select! {
        () = &mut told_to_stop => return Ok(()),
        preloaded = tokio::task::spawn_blocking(move || preload.iter().try_for_each(|suite| loader.preload(suite))) => {
            preloaded.map_err(io::Error::other)??;
        }
    }
    if let Some(idle_for) = idle_timeout {
        tokio::spawn(unload_idle(Arc::clone(&daemon), idle_for));
    }
    ready(&address);
    let connections = GracefulShutdown::new();
    let router = router(Arc::clone(&daemon));
    let free = Arc::new(Semaphore::new(daemon.limits.connections));
    loop {
        tokio::select! {
            () = &mut told_to_stop => break,
            accepted = accept(&listener, &free) => match accepted {
                Ok((stream, permit)) => spawn_connection(stream, permit, &router, daemon.limits, &connections),
                Err(error) => {
                    (daemon.log)(&format!("can't accept a connection: {error}"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    daemon.stopping.store(true, Ordering::Relaxed);
    (daemon.log)("stopping: what is in progress is finished, and nothing new is begun");
    drop(listener);
    let drained = tokio::time::timeout(daemon.limits.drain_time, connections.shutdown()).await;
    if drained.is_err() {
        (daemon.log)("stopped with requests in progress: they took too long");
        return Ok(());
    }
    let unloaded = tokio::task::spawn_blocking(move || daemon.models.warm().evict_all());
    let _ = tokio::time::timeout(PAUSE, unloaded).await;
    Ok(())
}

impl Daemon {
    fn new(settings: &Settings, models: Models, address: Option<SocketAddr>, log: Log) -> Result<Self, ServeError> {
        let mut fence = Fence::default();
        for folder in &settings.allow {
            let allow = |source| ServeError::Allow { folder: folder.display().to_string(), source };
            fence.allow(folder).map_err(allow)?;
        }
        // Nothing was downloaded yet where it is not there.
        let _ = fence.allow(&hub_cache());
        for suite in &settings.preload {
            let plan = read_suite(suite)?;
            for source in std::iter::once(&plan.sources.base).chain(&plan.sources.adapter) {
                // A hub id is no folder.
                let _ = fence.allow_folder(&source.relative_to.join(&source.name));
            }
        }
        Ok(Self {
            models,
            names: Names::default(),
            guard: Guard { address, token: settings.token },
            limits: settings.limits,
            meter: Meter::default(),
            fence: Arc::new(fence),
            folder: std::env::current_dir()?,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            open: Arc::new(Semaphore::new(settings.limits.open_requests)),
            runs: Arc::new(Semaphore::new(settings.limits.runs)),
            log,
        })
    }

    /// Loads the models of a suite.
    fn preload(&self, suite: &Path) -> Result<(), ServeError> {
        let sources = read_suite(suite)?.sources;
        let loaded = self.models.lease(&sources);
        loaded.map_err(|error| ServeError::Model { suite: suite.display().to_string(), message: error.to_string() })?;
        self.names.remember(&sources, true);
        Ok(())
    }
}

fn read_suite(suite: &Path) -> Result<Plan, ServeError> {
    Plan::read(suite, PlanOptions::default())
        .map_err(|source| ServeError::Suite { suite: suite.display().to_string(), source: Box::new(source) })
}

async fn unload_idle(daemon: Arc<Daemon>, idle_for: Duration) {
    let mut glances = tokio::time::interval(GLANCE.min(idle_for));
    loop {
        glances.tick().await;
        let unloading = Arc::clone(&daemon);
        let unloaded = tokio::task::spawn_blocking(move || unloading.models.warm().evict_idle(Instant::now(), idle_for)).await;
        if let Ok(count @ 1..) = unloaded {
            (daemon.log)(&format!("unloaded {count} that nobody asked for in {} s", idle_for.as_secs_f64()));
        }
    }
}

/// What connections come from.
enum Listener {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Socket(UnixListener, #[expect(dead_code, reason = "it is removed when this is dropped")] Socket),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    async fn open(settings: &Settings) -> Result<(Self, Address), ServeError> {
        match &settings.listen {
            Listen::Address(address) => {
                if !address.ip().is_loopback() && settings.token.is_none() {
                    return Err(ServeError::NeedsToken { address: *address });
                }
                let failed = |source| ServeError::Listen { place: address.to_string(), source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener, address), Address::Url(format!("http://{address}"))))
            }
            Listen::Socket(path) => {
                let listener = Self::open_socket(path);
                let listener = listener.map_err(|source| ServeError::Listen { place: path.display().to_string(), source })?;
                Ok((listener, Address::Socket(path.clone())))
            }
        }
    }

    #[cfg(unix)]
    fn open_socket(path: &Path) -> io::Result<Self> {
        let (listener, socket) = Socket::open(path)?;
        Ok(Self::Socket(UnixListener::from_std(listener)?, socket))
    }

    #[cfg(not(unix))]
    fn open_socket(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such sockets"))
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            #[cfg(unix)]
            Self::Socket(..) => None,
        }
    }
}

async fn accept(listener: &Listener, free: &Arc<Semaphore>) -> io::Result<(Box<dyn Stream>, OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.map_err(io::Error::other)?;
    let stream: Box<dyn Stream> = match listener {
        Listener::Tcp(listener, _) => {
            let (stream, _) = listener.accept().await?;
            // Answers are small, and waited for. A client that has left already is its connection's affair.
            let _ = stream.set_nodelay(true);
            Box::new(stream)
        }
        #[cfg(unix)]
        Listener::Socket(listener, _) => Box::new(listener.accept().await?.0),
    };
    Ok((stream, permit))
}

fn spawn_connection(
    stream: Box<dyn Stream>,
    permit: OwnedSemaphorePermit,
    router: &Router,
    limits: Limits,
    connections: &GracefulShutdown,
) {
    let mut stream = TimeoutWriter::new(Linger::new(stream));
    stream.set_timeout(Some(limits.stall_time));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_time).max_buf_size(limits.head);
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router.clone()));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // What a connection breaks with is its client's affair.
        let _ = connection.await;
        drop(permit);
    });
}

/// Comes when the process is told to end.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Where it can't be listened for, there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Comes when the process is told to end.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
