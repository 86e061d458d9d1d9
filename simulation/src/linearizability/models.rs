//! What keys, users and settings do, as a person would say it: the oracle of the simulation.

use super::checker::Model;

/// A key or another object, known by a name that is used once. What is read is its label.
#[derive(Clone, Copy, Debug)]
pub enum Object {}

/// What is asked of an object. Labels are numbers, so that each is written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectOperation {
    /// Make it, with this label.
    Create(u64),
    /// Find it and read its label, after a log-in.
    Read,
    /// Give it another label.
    Set(u64),
    /// Destroy it.
    Destroy,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectAnswer {
    /// It is done.
    Done,
    /// It has this label.
    Label(u64),
    /// There is none.
    NotThere,
}

impl Model for Object {
    type State = Option<u64>;
    type Operation = ObjectOperation;
    type Answer = ObjectAnswer;

    fn first() -> Option<u64> {
        None
    }

    fn run(label: &Option<u64>, operation: &ObjectOperation) -> (Option<u64>, ObjectAnswer) {
        match (operation, *label) {
            (ObjectOperation::Create(label), _) => (Some(*label), ObjectAnswer::Done),
            (_, None) => (None, ObjectAnswer::NotThere),
            (ObjectOperation::Read, Some(label)) => (Some(label), ObjectAnswer::Label(label)),
            (ObjectOperation::Set(label), Some(_)) => (Some(*label), ObjectAnswer::Done),
            (ObjectOperation::Destroy, Some(_)) => (None, ObjectAnswer::Done),
        }
    }
}

/// A user who is there from the start, with password 0.
#[derive(Clone, Copy, Debug)]
pub enum User {}

/// What there is of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserState {
    password: u64,
    locked: bool,
    there: bool,
}

/// What is asked of a user. Passwords are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserOperation {
    /// Log in with this password.
    LogIn(u64),
    /// Another password from now on.
    ChangePassword(u64),
    /// Lock, or unlock.
    Lock(bool),
    /// Delete.
    Delete,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAnswer {
    /// It is done.
    Done,
    /// It is refused, and not said why.
    Denied,
    /// There is no such user.
    NotThere,
}

impl Model for User {
    type State = UserState;
    type Operation = UserOperation;
    type Answer = UserAnswer;

    fn first() -> UserState {
        UserState { password: 0, locked: false, there: true }
    }

    fn run(user: &UserState, operation: &UserOperation) -> (UserState, UserAnswer) {
        match *operation {
            UserOperation::LogIn(password) => {
                let right = user.there && !user.locked && user.password == password;
                (*user, if right { UserAnswer::Done } else { UserAnswer::Denied })
            }
            _ if !user.there => (*user, UserAnswer::NotThere),
            UserOperation::ChangePassword(password) => {
                (UserState { password, ..*user }, UserAnswer::Done)
            }
            UserOperation::Lock(locked) => (UserState { locked, ..*user }, UserAnswer::Done),
            UserOperation::Delete => (UserState { there: false, ..*user }, UserAnswer::Done),
        }
    }
}

/// A setting, 0 at first.
#[derive(Clone, Copy, Debug)]
pub enum Setting {}

/// What is asked of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingOperation {
    /// Set it.
    Write(u64),
    /// Read it, after a log-in.
    Read,
}

impl Model for Setting {
    type State = u64;
    type Operation = SettingOperation;
    /// What it was when it was read; none for a write that is done.
    type Answer = Option<u64>;

    fn first() -> u64 {
        0
    }

    fn run(value: &u64, operation: &SettingOperation) -> (u64, Option<u64>) {
        match *operation {
            SettingOperation::Write(value) => (value, None),
            SettingOperation::Read => (*value, Some(*value)),
        }
    }
}
