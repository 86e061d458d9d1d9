//! The one thread that writes: takes whatever waits, appends it at once and makes it durable by one fsync.
//!
//! A full disk is not an error for Raft: the thread takes back what was written in part, says that writes are refused
//! ([`WriteHealth::Full`]), and tries again until there is room. After a failed fsync nobody knows what is on
//! the disk: writes are refused for good ([`WriteHealth::Failed`]), and the keys go on being used from memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::{LogId, Vote};
use tokio::sync::mpsc;

use crate::disk::Disk;
use crate::mark::Mark;
use crate::record::{self, Chain};
use crate::runtime::{self, Home};
use crate::store::{Contents, Kind, SEGMENT_MAGIC, encode, segment_name};
use crate::testing;

/// Bytes after which a segment is closed.
const SEGMENT_BYTES: usize = 64 << 20;
const FULL_DISK_RETRY: Duration = Duration::from_millis(200);

/// Whether changes can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteHealth {
    /// Yes.
    Ok = 0,
    /// No room; it goes on by itself when there is.
    Full = 1,
    /// The disk failed; it stays so until the daemon is started again.
    Failed = 2,
}

pub(crate) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What waits for the thread.
pub(crate) enum Job {
    /// Records to append, each a kind and a payload; `last_index` is the highest entry among them.
    Append { records: Vec<(Kind, Vec<u8>)>, last_index: u64, done: Done },
    /// A new vote.
    Vote { vote: Vote<u64>, done: Done },
    /// A snapshot up to this entry is about to be put in place: the log may begin behind it.
    Received { log_id: LogId<u64>, done: Done },
    /// Entries up to this one are covered by a snapshot: older segments go.
    Purge { purged: LogId<u64> },
}

/// The way to the thread. What is sent last is written before it ends.
pub(crate) type Jobs = mpsc::UnboundedSender<Job>;

/// The health, shared with whoever asks, and whether the end has come, which the thread asks.
#[derive(Default)]
pub(crate) struct Health {
    now: AtomicU8,
    ending: AtomicBool,
}

impl Health {
    pub(crate) fn get(&self) -> WriteHealth {
        match self.now.load(Ordering::Relaxed) {
            0 => WriteHealth::Ok,
            1 => WriteHealth::Full,
            _ => WriteHealth::Failed,
        }
    }

    /// From now on nothing waits for room on the disk: what could not be written is none of those that were acknowledged.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    fn set(&self, health: WriteHealth) {
        let before = self.now.swap(health as u8, Ordering::Relaxed);
        if before != health as u8 {
            tracing::warn!(?health, "the state of the disk changed");
        }
    }
}

struct Writer {
    disk: Arc<dyn Disk>,
    health: Arc<Health>,
    segment: u64,
    /// Bytes of the segment that are durable.
    length: u64,
    /// Whether something may lie behind that.
    partial: bool,
    /// Where the segment goes on.
    chain: Chain,
    mark: Mark,
    segments: BTreeMap<u64, u64>,
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    /// Snapshots of other members that the log may have to begin behind.
    received: BTreeSet<LogId<u64>>,
    /// Whether something was given up at the end: nothing may be written behind it.
    ended: bool,
}

/// Starts the thread behind the contents that were read; in a simulation it is a task.
///
/// # Errors
/// If the thread or the first segment cannot be made.
pub(crate) fn start(
    disk: Arc<dyn Disk>,
    contents: &Contents,
    home: &Home,
) -> io::Result<(Jobs, Arc<Health>, Option<JoinHandle<()>>)> {
    let health = Arc::new(Health::default());
    let mut writer = Writer {
        disk,
        health: Arc::clone(&health),
        segment: contents.segment,
        length: contents.length,
        partial: false,
        chain: contents.chain.unwrap_or_else(|| Chain::behind(&[])),
        mark: contents.mark,
        segments: contents.segments.clone(),
        vote: contents.vote,
        purged: contents.purged,
        received: contents.received.clone(),
        ended: false,
    };
    if contents.segment == 0 {
        writer.begin_segment()?;
    } else {
        // The one that ended may have been killed, or its fsync may have failed, before the mark of this segment was durable.
        let Chain { durable, before, .. } = writer.chain;
        writer.mark.begin(writer.disk.as_ref(), writer.segment, durable, before)?;
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    let handle = if let Home::Simulated(..) = home {
        drop(home.way().spawn(writer.run_as_task(receiver)));
        None
    } else {
        let thread = std::thread::Builder::new().name("casemate-writer".to_owned());
        Some(thread.spawn(move || writer.run(receiver))?)
    };
    Ok((sender, health, handle))
}

impl Writer {
    /// Begins a segment with what the older ones need not be read for: the vote and the purge mark. Until the mark names it, it is
    /// nothing, and a crash or a full disk on the way leaves the older one as it was.
    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.segment.saturating_add(1);
        let name = segment_name(number);
        let before = if self.segment == 0 { [0; 8] } else { self.chain.before };
        let mut bytes = record::file_header(SEGMENT_MAGIC, number, before);
        let mut chain = Chain::behind(&bytes);
        if let Some(vote) = &self.vote {
            record::write(&mut bytes, &mut chain, Kind::Vote as u8, &encode(vote)?);
        }
        if let Some(purged) = &self.purged {
            record::write(&mut bytes, &mut chain, Kind::Purge as u8, &encode(purged)?);
        }
        for received in &self.received {
            record::write(&mut bytes, &mut chain, Kind::Received as u8, &encode(received)?);
        }
        if self.disk.list()?.contains(&name) {
            // An attempt that failed left it.
            self.disk.remove(&name)?;
        }
        self.disk.append(&name, &bytes)?;
        self.disk.sync(&name)?;
        self.disk.sync_directory()?;
        testing::pass("segment-begun");
        chain.durable = chain.sequence.saturating_sub(1);
        self.mark.begin(self.disk.as_ref(), number, chain.durable, chain.before)?;
        self.segment = number;
        self.length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.chain = chain;
        self.segments.insert(number, 0);
        Ok(())
    }

    fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            runtime::run_here(self.write(batch(first, &mut jobs)));
        }
    }

    async fn run_as_task(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = jobs.recv().await {
            self.write(batch(first, &mut jobs)).await;
        }
    }

    async fn write(&mut self, batch: Vec<Job>) {
        let mut bytes = Vec::new();
        let mut waiting: Vec<Done> = Vec::new();
        let mut highest = 0;
        let mut purge = None;
        let before = self.chain;
        for job in batch {
            match job {
                Job::Received { log_id, done } => match encode(&log_id) {
                    Ok(payload) => {
                        record::write(&mut bytes, &mut self.chain, Kind::Received as u8, &payload);
                        self.received.insert(log_id);
                        waiting.push(done);
                    }
                    Err(error) => done(Err(error)),
                },
                Job::Append { records, last_index, done } => {
                    for (kind, payload) in records {
                        record::write(&mut bytes, &mut self.chain, kind as u8, &payload);
                    }
                    highest = highest.max(last_index);
                    waiting.push(done);
                }
                Job::Vote { vote, done } => match encode(&vote) {
                    Ok(payload) => {
                        record::write(&mut bytes, &mut self.chain, Kind::Vote as u8, &payload);
                        self.vote = Some(vote);
                        waiting.push(done);
                    }
                    Err(error) => done(Err(error)),
                },
                // In its place among the others: behind a snapshot that was received, entries follow that do not follow what was before.
                Job::Purge { purged } => match encode(&purged) {
                    Ok(payload) => {
                        record::write(&mut bytes, &mut self.chain, Kind::Purge as u8, &payload);
                        self.purged = self.purged.max(Some(purged));
                        self.received.retain(|received| *received > purged);
                        purge = Some(purged);
                    }
                    Err(error) => tracing::warn!(%error, "entries stay that a snapshot covers"),
                },
            }
        }
        if !bytes.is_empty() {
            if testing::acknowledges_early() {
                waiting.drain(..).for_each(|done| done(Ok(())));
                testing::let_the_acknowledgement_out();
            }
            let result = self.make_durable(&bytes).await;
            if result.is_err() {
                self.chain = before;
            }
            for done in waiting {
                done(
                    result
                        .as_ref()
                        .map(|&()| ())
                        .map_err(|error| io::Error::new(error.kind(), error.to_string())),
                );
            }
            testing::pass("after-acknowledge");
        }
        let entry = self.segments.entry(self.segment).or_default();
        *entry = (*entry).max(highest);
        if let Some(purged) = purge
            && !self.writes_no_more()
            && let Err(error) = self.remove_covered(purged)
        {
            // What is covered by a snapshot may stay: the next purge tries again.
            tracing::warn!(%error, "old segments could not be removed");
        }
    }

    /// Appends, syncs and marks; on a full disk it takes the part back and tries again until there is room.
    async fn make_durable(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.writes_no_more() {
            return Err(io::Error::other("a write before could not be done"));
        }
        while let Err(error) = self.append(bytes).await {
            self.wait_for_room(error).await?;
        }
        self.partial = false;
        testing::pass("after-sync");
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.chain.durable = self.chain.sequence.saturating_sub(1);
        let Chain { durable, before, .. } = self.chain;
        while let Err(error) = self.mark.note(self.disk.as_ref(), self.segment, durable, before) {
            self.wait_for_room(error).await?;
        }
        self.health.set(WriteHealth::Ok);
        testing::pass("after-mark");
        Ok(())
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let name = segment_name(self.segment);
        self.take_back()?;
        testing::pass("before-append");
        self.partial = true;
        self.disk.append(&name, bytes)?;
        testing::pass("after-append");
        runtime::sync_time().await;
        self.disk.sync(&name)
    }

    /// Cuts off what an attempt before left behind the durable end.
    fn take_back(&mut self) -> io::Result<()> {
        if self.partial {
            self.disk.truncate(&segment_name(self.segment), self.length)?;
            self.partial = false;
        }
        Ok(())
    }

    fn writes_no_more(&self) -> bool {
        self.ended || self.health.get() == WriteHealth::Failed
    }

    /// Waits while the disk is full, but not beyond the end of the daemon; every other error is a failed disk.
    async fn wait_for_room(&mut self, error: io::Error) -> io::Result<()> {
        if !is_full(&error) {
            return Err(self.failed(error));
        }
        // The part must not take the room that others need meanwhile; the next attempt does it if this fails.
        if let Err(error) = self.take_back() {
            tracing::warn!(%error, "a part of a write could not be taken back yet");
        }
        self.health.set(WriteHealth::Full);
        self.ended = self.health.ending.load(Ordering::Relaxed);
        if self.ended {
            return Err(error);
        }
        runtime::pause(FULL_DISK_RETRY).await;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> io::Error {
        tracing::error!(%error, "the disk failed: changes are refused until the daemon is started again");
        self.health.set(WriteHealth::Failed);
        error
    }

    /// Removes segments that a snapshot covers whole; the log says so already.
    fn remove_covered(&mut self, purged: LogId<u64>) -> io::Result<()> {
        if self.length > u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX)
            || self.segments.len() == 1
        {
            let begun = self.begin_segment();
            begun.map_err(|error| if is_full(&error) { error } else { self.failed(error) })?;
        }
        let current = self.segment;
        let covered =
            |(number, highest): (&u64, &u64)| *number != current && *highest <= purged.index;
        let old: Vec<u64> = self
            .segments
            .iter()
            .take_while(|entry| covered(*entry))
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            self.disk.remove(&segment_name(number))?;
            self.segments.remove(&number);
        }
        testing::pass("segments-removed");
        self.disk.sync_directory()
    }
}

/// All that waits.
fn batch(first: Job, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Vec<Job> {
    let mut batch = vec![first];
    batch.extend(std::iter::from_fn(|| jobs.try_recv().ok()));
    batch
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
