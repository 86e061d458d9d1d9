//! The file of a snapshot: a description, sealed chunks, an end; whole, or refused by its name and byte.

use std::sync::Arc;

use crate::disk::Disk;
use crate::record::{self, Chain, FILE_HEADER, Found};
use crate::store::{
    Kind, Meta, SNAPSHOT_MAGIC, StoreError, check_header, damaged, decode, number_of,
};

/// Reads what a snapshot says of itself.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn read_snapshot_meta(disk: &Arc<dyn Disk>, name: &str) -> Result<Meta, StoreError> {
    let mut meta = None;
    read_snapshot(disk, name, |found, _| {
        meta = Some(found.clone());
    })?;
    meta.ok_or_else(|| damaged(name, FILE_HEADER))
}

/// Reads a snapshot whole: calls `take` with its description and all its chunks.
pub(crate) fn read_snapshot(
    disk: &Arc<dyn Disk>,
    name: &str,
    take: impl FnMut(&Meta, Vec<Vec<u8>>),
) -> Result<(), StoreError> {
    read_snapshot_of(disk, name, number_of(name, "snapshot-").unwrap_or(0), take)
}

/// The same of a file that has another name yet.
pub(crate) fn read_snapshot_of(
    disk: &Arc<dyn Disk>,
    name: &str,
    number: u64,
    mut take: impl FnMut(&Meta, Vec<Vec<u8>>),
) -> Result<(), StoreError> {
    let bytes = disk.read(name)?;
    check_header(name, &bytes, SNAPSHOT_MAGIC, number)?;
    let mut chain = Chain::behind(bytes.get(..FILE_HEADER).unwrap_or_default());
    let mut at = FILE_HEADER;
    let mut meta: Option<Meta> = None;
    let mut chunks = Vec::new();
    loop {
        let Found::Whole(record) = record::read(&bytes, at, &chain) else {
            return Err(damaged(name, at));
        };
        chain.pass(&record);
        match &meta {
            None if record.kind == Kind::Meta as u8 => {
                let found: Meta = decode(name, at, record.payload)?;
                if found.last_log_id.map_or(0, |id| id.index) != number {
                    return Err(damaged(name, at));
                }
                meta = Some(found);
            }
            Some(_) if record.kind == Kind::Chunk as u8 => chunks.push(record.payload.to_vec()),
            Some(meta) if record.kind == Kind::End as u8 && record.end == bytes.len() => {
                take(meta, chunks);
                return Ok(());
            }
            _ => return Err(damaged(name, at)),
        }
        at = record.end;
    }
}
