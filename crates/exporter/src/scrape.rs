//! Scrapes: each asks the cluster, and those that come together share one answer.

use std::time::{Duration, Instant};

use casemate_client::Config;
use casemate_client::survey::{Survey, survey};
use tokio::sync::Mutex;

use crate::metrics;

/// An answer serves all scrapes for so long, so that nobody loads the HSMs through the exporter.
const FRESH: Duration = Duration::from_secs(1);

/// What was answered last, and how long the cluster may take to answer.
pub(crate) struct Scrapes {
    last: Mutex<Option<(Instant, String)>>,
    patience: Duration,
}

fn ask(patience: Duration) -> Result<Survey, String> {
    // Read each time: a certificate in it may have been renewed.
    let config = Config::find().map_err(|error| error.to_string())?;
    let deadline = config.deadline.min(patience);
    survey(&Config { deadline, ..config }).map_err(|error| error.to_string())
}

impl Scrapes {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { last: Mutex::default(), patience }
    }

    /// Returns the metrics as they are now, in the text format.
    pub(crate) async fn current(&self) -> String {
        // Held while the cluster is asked: who comes meanwhile gets that answer.
        let mut last = self.last.lock().await;
        if let Some((at, text)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return text.clone();
        }
        let (start, patience) = (Instant::now(), self.patience);
        let asked = tokio::task::spawn_blocking(move || ask(patience)).await;
        let asked = asked.unwrap_or_else(|error| Err(error.to_string()));
        if let Err(error) = &asked {
            tracing::warn!(%error, "the cluster does not answer");
        }
        let text = metrics::text(asked.as_ref().ok(), start.elapsed());
        *last = Some((Instant::now(), text.clone()));
        text
    }
}
