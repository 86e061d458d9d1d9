//! A snapshot that comes from another member, piece by piece, until it is whole, checked and in its place.
//!
//! It is written under a name of its own. When it is whole, the log first says durably that it may begin behind this snapshot, then the
//! file gets its name: so a crash leaves either the log as it was, or a snapshot behind which it begins anew.

use std::io;
use std::sync::Arc;

use openraft::LogId;
use tokio::sync::oneshot;

use crate::disk::Disk;
use crate::message::Piece;
use crate::runtime;
use crate::snapshot_file::read_snapshot_of;
use crate::store::{Meta, RECEIVING, snapshot_name};
use crate::writer::{Job, Jobs};

/// What a piece came to.
pub(crate) enum Received {
    /// The next one is expected from here on.
    More(u64),
    /// It is whole, and lies under this name.
    Whole(String),
}

/// What is coming.
#[derive(Default)]
pub(crate) struct Receiver {
    coming: Option<(Meta, u64)>,
}

impl Receiver {
    /// Takes a piece. One that is not the next changes nothing.
    ///
    /// # Errors
    /// As the disk reports it; or if the whole is no snapshot as it was announced.
    pub(crate) async fn take(
        &mut self,
        disk: &Arc<dyn Disk>,
        writer: &Jobs,
        piece: &Piece,
    ) -> io::Result<Received> {
        let received = runtime::blocking(|| self.append(disk, piece))?;
        if let Received::More(_) = received {
            return Ok(received);
        }
        put_in_place(disk, writer, &piece.meta).await.map(Received::Whole)
    }

    /// Appends a piece, if it is the next; the last one makes the file whole.
    fn append(&mut self, disk: &Arc<dyn Disk>, piece: &Piece) -> io::Result<Received> {
        if piece.offset == 0 {
            if disk.list()?.iter().any(|name| name == RECEIVING) {
                disk.remove(RECEIVING)?;
            }
            self.coming = Some((piece.meta.clone(), 0));
        }
        let next = match &mut self.coming {
            Some((meta, next)) if *meta == piece.meta => next,
            _ => return Ok(Received::More(0)),
        };
        if *next != piece.offset {
            return Ok(Received::More(*next));
        }
        disk.append(RECEIVING, &piece.bytes)?;
        *next = next.saturating_add(u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX));
        if !piece.last {
            return Ok(Received::More(*next));
        }
        self.coming = None;
        Ok(Received::Whole(RECEIVING.to_owned()))
    }
}

/// Puts a whole file in its place.
async fn put_in_place(disk: &Arc<dyn Disk>, writer: &Jobs, announced: &Meta) -> io::Result<String> {
    let log_id = runtime::blocking(|| check(disk, announced))?;
    let (sender, receiver) = oneshot::channel();
    let done = Box::new(move |written| {
        // The receiver waits below.
        let _told = sender.send(written).is_ok();
    });
    let stopped = || io::Error::from(io::ErrorKind::BrokenPipe);
    writer.send(Job::Received { log_id, done }).map_err(|_error| stopped())?;
    receiver.await.map_err(io::Error::other)??;
    runtime::blocking(|| {
        let name = snapshot_name(log_id.index);
        disk.rename(RECEIVING, &name)?;
        disk.sync_directory()?;
        Ok(name)
    })
}

/// Whether the file is the snapshot that was announced; makes it durable.
fn check(disk: &Arc<dyn Disk>, announced: &Meta) -> io::Result<LogId<u64>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot is not as announced");
    let log_id = announced.last_log_id.ok_or_else(wrong)?;
    let mut as_announced = false;
    read_snapshot_of(disk, RECEIVING, log_id.index, |meta, _| as_announced = meta == announced)
        .map_err(io::Error::other)?;
    if !as_announced {
        return Err(wrong());
    }
    disk.sync(RECEIVING)?;
    Ok(log_id)
}
