//! What clients did and saw, cut by what it is about, and whether an order explains it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::linearizability::models::{
    Object, ObjectAnswer, ObjectOperation, Setting, SettingOperation, User, UserAnswer,
    UserOperation,
};
use crate::linearizability::{Entry, NotLinearizable, check};

/// What is done, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To the object of this name.
    Object(u64, ObjectOperation),
    /// To the user of this number.
    User(u64, UserOperation),
    /// To the setting.
    Setting(SettingOperation),
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// By an object.
    Object(ObjectAnswer),
    /// By a user.
    User(UserAnswer),
    /// By a setting.
    Setting(Option<u64>),
}

#[derive(Default)]
struct State {
    clock: u64,
    objects: BTreeMap<u64, Vec<Entry<Object>>>,
    users: BTreeMap<u64, Vec<Entry<User>>>,
    setting: Vec<Entry<Setting>>,
    known: u64,
    unknown: u64,
}

/// A history. Clones are the same one.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<State>>);

/// Why a history is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// In what was done to an object.
    #[error("object {0}: {1}")]
    Object(u64, NotLinearizable),
    /// In what was done to a user.
    #[error("user {0}: {1}")]
    User(u64, NotLinearizable),
    /// In what was done to the setting.
    #[error("the setting: {0}")]
    Setting(NotLinearizable),
}

impl History {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something is asked; returns when.
    #[must_use]
    pub fn call(&self) -> u64 {
        let mut state = self.state();
        state.clock += 1;
        state.clock
    }

    /// Notes what became of it. An answer that is not of its kind is none.
    pub fn returned(&self, called: u64, operation: Operation, answer: Option<Answer>) {
        let mut state = self.state();
        state.clock += 1;
        let at = state.clock;
        if answer.is_some() {
            state.known += 1;
        } else {
            state.unknown += 1;
        }
        match operation {
            Operation::Object(name, operation) => {
                let returned = match answer {
                    Some(Answer::Object(answer)) => Some((at, answer)),
                    _ => None,
                };
                let entry = Entry { called, returned, operation };
                state.objects.entry(name).or_default().push(entry);
            }
            Operation::User(number, operation) => {
                let returned = match answer {
                    Some(Answer::User(answer)) => Some((at, answer)),
                    _ => None,
                };
                let entry = Entry { called, returned, operation };
                state.users.entry(number).or_default().push(entry);
            }
            Operation::Setting(operation) => {
                let returned = match answer {
                    Some(Answer::Setting(answer)) => Some((at, answer)),
                    _ => None,
                };
                state.setting.push(Entry { called, returned, operation });
            }
        }
    }

    /// Returns how many operations are known to be done, and how many are not.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.known, state.unknown)
    }

    /// Looks for an order for each part.
    ///
    /// # Errors
    /// [`Wrong`] for the first part that has none.
    pub fn check(&self) -> Result<(), Wrong> {
        let state = self.state();
        for (name, entries) in &state.objects {
            check(entries).map_err(|refused| Wrong::Object(*name, refused))?;
        }
        for (number, entries) in &state.users {
            check(entries).map_err(|refused| Wrong::User(*number, refused))?;
        }
        check(&state.setting).map_err(Wrong::Setting)
    }
}
