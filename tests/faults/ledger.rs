//! What was acknowledged: written down by those who change keys, and held against what the HSM shows.
//!
//! A check is strict only while the threads cannot reach the HSM (they come through a relay): what was lost would else be written over
//! before anybody looks. Each thread owns the keys that it made, and has one change in flight. A change that is in flight when the HSM dies may be there
//! or not, whole; all others must be as they were acknowledged. A client that retries makes an in-flight change an
//! acknowledged one sooner or later, and then it must be there once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use casemate_client::Client;

use crate::keys::{self, Seen};

/// A key as it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    label: String,
    /// The private key, if the object is the public one of a pair.
    private: Option<u64>,
    /// Whether it is the private key of a pair.
    is_private: bool,
}

/// A change that was asked for and is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum InFlight {
    /// Objects with this label come to be: one, or the two of a pair.
    Make {
        label: String,
        objects: usize,
    },
    /// An object gets this label.
    Label {
        object: u64,
        label: String,
    },
    Delete {
        object: u64,
    },
}

/// What all threads know.
#[derive(Clone, Debug, Default)]
struct Book {
    keys: BTreeMap<u64, Known>,
    deleted: BTreeSet<u64>,
    in_flight: BTreeMap<usize, InFlight>,
    /// Calls that failed although the client retries.
    failed: Vec<String>,
}

/// What a check looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) objects: usize,
    pub(crate) deleted: usize,
    pub(crate) used: usize,
}

struct Shared {
    client: Client,
    /// What the labels of its keys begin with.
    name: String,
    book: Mutex<Book>,
    stop: AtomicBool,
    acknowledged: AtomicU64,
    progress: Condvar,
}

/// Threads that change keys through one client, and the book that they keep.
pub(crate) struct Ledger {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Shared {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is about to be asked.
    fn begin(&self, thread: usize, change: InFlight) {
        self.book().in_flight.insert(thread, change);
    }

    /// Notes what was acknowledged, or that the call failed: then the change stays in flight for ever.
    fn end<T>(
        &self,
        thread: usize,
        result: Result<T, casemate_client::ClientError>,
        note: impl FnOnce(&mut Book, T),
    ) -> bool {
        let mut book = self.book();
        match result {
            Ok(value) => {
                book.in_flight.remove(&thread);
                note(&mut book, value);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.progress.notify_all();
                true
            }
            Err(error) => {
                book.failed.push(error.to_string());
                false
            }
        }
    }

    /// One change after the other, until the end.
    fn work(&self, thread: usize) {
        let mut own: Vec<u64> = Vec::new();
        for turn in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let label = format!("{}-{thread}-{turn}", self.name);
            // Few keys at a time: more are deleted than made once there are twenty.
            let done = match (turn % 5, own.len()) {
                (0, _) | (_, 0) => self.make(thread, label, turn % 3 == 0, &mut own),
                (4, length) if length > 4 => self.delete(thread, &mut own),
                (_, length) if length > 20 => self.delete(thread, &mut own),
                (_, length) => {
                    let object = own[(turn * 7) % length];
                    self.begin(thread, InFlight::Label { object, label: label.clone() });
                    let result = keys::label(&self.client, object, &label);
                    self.end(thread, result, |book, ()| {
                        if let Some(key) = book.keys.get_mut(&object) {
                            key.label = label;
                        }
                    })
                }
            };
            if !done {
                return;
            }
        }
    }

    fn make(&self, thread: usize, label: String, pair: bool, own: &mut Vec<u64>) -> bool {
        let objects = if pair { 2 } else { 1 };
        self.begin(thread, InFlight::Make { label: label.clone(), objects });
        let known = |private, is_private| Known { label: label.clone(), private, is_private };
        if pair {
            let result = keys::make_pair(&self.client, &label);
            own.extend(
                result.as_ref().ok().into_iter().flat_map(|(public, private)| [*public, *private]),
            );
            self.end(thread, result, |book, (public, private)| {
                book.keys.insert(public, known(Some(private), false));
                book.keys.insert(private, known(None, true));
            })
        } else {
            let result = keys::make(&self.client, &label);
            own.extend(result.as_ref().ok());
            self.end(thread, result, |book, number| {
                book.keys.insert(number, known(None, false));
            })
        }
    }

    fn delete(&self, thread: usize, own: &mut Vec<u64>) -> bool {
        let object = own.remove(0);
        self.begin(thread, InFlight::Delete { object });
        let result = keys::delete(&self.client, object);
        self.end(thread, result, |book, ()| {
            book.keys.remove(&object);
            book.deleted.insert(object);
            // A public key without its private one is checked as an object, not by use.
            for key in book.keys.values_mut().filter(|key| key.private == Some(object)) {
                key.private = None;
                key.is_private = true;
            }
        })
    }
}

impl Ledger {
    /// Starts so many threads on a client that is logged in; the labels of their keys begin with a name of their own.
    pub(crate) fn start(name: &str, client: Client, threads: usize) -> Self {
        let shared = Arc::new(Shared {
            client,
            name: name.to_owned(),
            book: Mutex::default(),
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            progress: Condvar::new(),
        });
        let threads = (0..threads)
            .map(|thread| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.work(thread))
            })
            .collect();
        Self { shared, threads }
    }

    /// Returns how many changes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Returns the calls that failed.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.shared.book().failed.clone()
    }

    /// Ends the threads once their calls in flight have ended.
    pub(crate) fn finish(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }

    /// Holds the book against what the HSM shows; returns what it looked at, or all that is wrong.
    pub(crate) fn check(&self, checker: &Client) -> Result<Checked, Vec<String>> {
        let before = self.shared.book().clone();
        let seen = keys::all(checker).map_err(|error| vec![error.to_string()])?;
        let after = self.shared.book().clone();
        let mut wrong = Vec::new();
        let unsettled = |object: u64| {
            [&before, &after].into_iter().flat_map(|book| book.in_flight.values()).any(|change| {
                matches!(change, InFlight::Label { object: found, .. } | InFlight::Delete { object: found } if *found == object)
            })
        };
        let shown: BTreeMap<u64, &Seen> = seen.iter().map(|seen| (seen.number, seen)).collect();
        let mut checked = Checked::default();
        for (object, key) in &before.keys {
            if unsettled(*object) || after.keys.get(object) != Some(key) {
                continue;
            }
            checked.objects += 1;
            match shown.get(object) {
                None => {
                    wrong.push(format!("{object} ({}) was acknowledged and is gone", key.label));
                }
                Some(seen) if seen.label != key.label => wrong.push(format!(
                    "{object} was acknowledged as {} and is {}",
                    key.label, seen.label
                )),
                Some(_) => {}
            }
        }
        for object in &before.deleted {
            checked.deleted += 1;
            if shown.contains_key(object) {
                wrong.push(format!("{object} was deleted and is there"));
            }
        }
        self.check_strangers(&seen, [&before, &after], &mut wrong);
        checked.used = self.use_some(checker, [&before, &after], &mut wrong);
        if wrong.is_empty() { Ok(checked) } else { Err(wrong) }
    }

    /// What nobody was told of yet must be a change in flight, whole and once.
    fn check_strangers(&self, seen: &[Seen], books: [&Book; 2], wrong: &mut Vec<String>) {
        let known = |object: &Seen| {
            books.iter().any(|book| {
                book.keys.contains_key(&object.number) || book.deleted.contains(&object.number)
            })
        };
        let mut strangers: BTreeMap<&str, usize> = BTreeMap::new();
        let ours = |object: &&Seen| object.label.starts_with(&self.shared.name);
        for object in seen.iter().filter(ours).filter(|object| !known(object)) {
            *strangers.entry(object.label.as_str()).or_default() += 1;
        }
        for (label, count) in strangers {
            let expected = books.iter().flat_map(|book| book.in_flight.values()).any(|change| {
                matches!(change, InFlight::Make { label: found, objects } if found == label && *objects == count)
            });
            // It may have been begun after the first look and ended before the second.
            let ended = self.shared.book().keys.values().any(|key| key.label == label);
            if !expected && !ended {
                wrong.push(format!(
                    "{count} objects {label} are there that nobody asked for in that way"
                ));
            }
        }
    }

    /// Uses keys: every pair signs, every other key encrypts, as far as nothing happens to them.
    fn use_some(&self, checker: &Client, books: [&Book; 2], wrong: &mut Vec<String>) -> usize {
        let [before, after] = books;
        let mut used = 0;
        for (object, key) in
            before.keys.iter().filter(|(object, key)| after.keys.get(object) == Some(key))
        {
            let result = match key.private {
                Some(private) => keys::sign(checker, (*object, private)),
                None if key.is_private => continue,
                None => keys::encrypt(checker, *object),
            };
            used += 1;
            let now = self.shared.book().keys.get(object).cloned();
            let deleting = self.shared.book().in_flight.values().any(|change| {
                matches!(change, InFlight::Delete { object: found } if found == object || Some(*found) == key.private)
            });
            if let Err(error) = result
                && now.is_some_and(|now| now.private == key.private)
                && !deleting
            {
                wrong.push(format!("{object} ({}) cannot be used: {error}", key.label));
            }
        }
        used
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
