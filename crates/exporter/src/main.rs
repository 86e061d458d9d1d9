//! `casemate-exporter`: metrics of a cluster for Prometheus.
//!
//! A process of its own: the module's process speaks no HTTP ([`mod@crate::metrics`] is made of what any client may ask). It asks
//! every HSM at each scrape, so that one exporter is enough for a cluster, and needs no log-in: no metric is secret, and none
//! depends on what a key is.
#![forbid(unsafe_code)]

mod metrics;
mod scrape;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use casemate_client::Config;
use clap::Parser;

use crate::scrape::Scrapes;

/// Metrics of a cluster for Prometheus, at http://ADDRESS/metrics
///
/// The cluster is that of `casemate.toml`, found as the other programs find it (`CASEMATE_CONFIG`).
#[derive(Debug, Parser)]
#[command(name = "casemate-exporter", version)]
struct Arguments {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:9817", env = "CASEMATE_EXPORTER_LISTEN")]
    listen: SocketAddr,
    /// Seconds that the cluster may take to answer: fewer than Prometheus waits for a scrape
    #[arg(long, default_value_t = 5)]
    patience: u64,
}

/// Why it does not start, or ended.
#[derive(Debug, thiserror::Error)]
enum ExporterError {
    #[error(transparent)]
    Config(#[from] casemate_client::ConfigError),
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("the exporter failed")]
    System(#[from] std::io::Error),
}

async fn metrics(State(scrapes): State<Arc<Scrapes>>) -> Response {
    let text = scrapes.current().await;
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn run(arguments: Arguments) -> Result<(), ExporterError> {
    // What is wrong with the configuration is told at once, not at the first scrape.
    Config::find()?;
    let address = arguments.listen;
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|cause| ExporterError::Listen { address, cause })?;
    let scrapes = Scrapes::new(Duration::from_secs(arguments.patience));
    tracing::info!(address = %listener.local_addr()?, "ready");
    let routes = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scrapes));
    // It holds nothing, so a signal may end it at any moment.
    axum::serve(listener, routes).await?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let ended =
        runtime.map_err(ExporterError::from).and_then(|runtime| runtime.block_on(run(arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let wrong_configuration = matches!(error, ExporterError::Config(_));
            tracing::error!("{error}");
            ExitCode::from(if wrong_configuration { 2 } else { 1 })
        }
    }
}
