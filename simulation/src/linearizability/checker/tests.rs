use proptest::prelude::*;

use super::*;
use crate::linearizability::models::{
    Object, ObjectAnswer, ObjectOperation, Setting, SettingOperation, User, UserAnswer,
    UserOperation,
};

fn known<M: Model>(called: u64, at: u64, operation: M::Operation, answer: M::Answer) -> Entry<M> {
    Entry { called, returned: Some((at, answer)), operation }
}

fn unknown<M: Model>(called: u64, operation: M::Operation) -> Entry<M> {
    Entry { called, returned: None, operation }
}

fn write(called: u64, at: u64, value: u64) -> Entry<Setting> {
    known(called, at, SettingOperation::Write(value), None)
}

fn read(called: u64, at: u64, value: u64) -> Entry<Setting> {
    known(called, at, SettingOperation::Read, Some(value))
}

#[test]
fn one_after_the_other_is_as_the_model_says() {
    assert!(check::<Setting>(&[]).is_ok());
    assert!(check(&[write(1, 2, 7), read(3, 4, 7)]).is_ok());
    assert!(check(&[write(1, 2, 7), read(3, 4, 0)]).is_err(), "a stale read");
    assert!(check(&[write(1, 2, 7), read(3, 4, 8)]).is_err(), "what nobody wrote");
}

#[test]
fn what_is_concurrent_may_come_in_either_order() {
    for seen in [0, 7] {
        assert!(check(&[write(1, 9, 7), read(2, 3, seen)]).is_ok());
    }
    let both = |first, second| [write(1, 9, 7), read(2, 3, first), read(4, 5, second)];
    assert!(check(&both(0, 7)).is_ok());
    assert!(check(&both(7, 0)).is_err(), "what was seen is not unseen again");
    // The two readers do not agree in which order the writes came.
    let history = [write(1, 9, 1), write(1, 9, 2), read(10, 11, 1), read(12, 13, 2)];
    assert!(check(&history).is_err());
}

#[test]
fn a_call_at_the_moment_of_a_return_is_concurrent() {
    assert!(check(&[write(1, 2, 7), read(2, 3, 0)]).is_ok());
    assert!(check(&[write(1, 2, 7), read(3, 3, 0)]).is_err());
}

#[test]
fn what_is_unknown_comes_late_or_never() {
    let unknown = || unknown(1, SettingOperation::Write(7));
    assert!(check(&[unknown(), read(5, 6, 0)]).is_ok());
    assert!(check(&[unknown(), read(5, 6, 7)]).is_ok());
    assert!(check(&[unknown(), read(5, 6, 0), read(50, 60, 7)]).is_ok());
    assert!(check(&[unknown(), read(5, 6, 7), read(50, 60, 0)]).is_err());
    assert!(check(&[read(0, 0, 7), unknown()]).is_err(), "it is not seen before it is asked for");
    let twice = [unknown(), write(5, 6, 8), read(7, 8, 7), write(9, 10, 9), read(11, 12, 7)];
    assert!(check(&twice).is_err(), "it is applied once");
    assert!(check(&twice[..3]).is_ok());
}

#[test]
fn a_destroyed_object_stays_destroyed() {
    use ObjectAnswer::{Done, Label, NotThere};
    use ObjectOperation::{Create, Destroy, Read, Set};
    let entry = known::<Object>;
    let begin =
        [entry(1, 2, Create(1), Done), entry(3, 4, Set(2), Done), entry(5, 6, Read, Label(2))];
    assert!(check(&begin).is_ok());
    let mut gone = begin.to_vec();
    gone.push(entry(7, 20, Destroy, Done));
    gone.push(entry(8, 9, Read, NotThere));
    assert!(check(&gone).is_ok());
    gone.push(entry(10, 11, Read, Label(2)));
    assert!(check(&gone).is_err(), "it came back");
    // A change that was lost.
    assert!(check(&[begin[0].clone(), begin[1].clone(), entry(5, 6, Read, Label(1))]).is_err());
}

#[test]
fn an_old_password_and_a_locked_user_stay_out() {
    use UserAnswer::{Denied, Done};
    use UserOperation::{ChangePassword, Lock, LogIn};
    let entry = known::<User>;
    let changed = [entry(1, 2, LogIn(0), Done), entry(3, 4, ChangePassword(1), Done)];
    let with = |more: Entry<User>| [changed[0].clone(), changed[1].clone(), more];
    assert!(check(&with(entry(5, 6, LogIn(0), Denied))).is_ok());
    assert!(check(&with(entry(5, 6, LogIn(0), Done))).is_err());
    assert!(check(&with(entry(5, 6, LogIn(1), Done))).is_ok());
    assert!(check(&with(entry(5, 6, LogIn(1), Denied))).is_err());
    assert!(check(&[entry(1, 2, Lock(true), Done), entry(3, 4, LogIn(0), Done)]).is_err());
    let back =
        [entry(1, 2, Lock(true), Done), unknown(3, Lock(false)), entry(5, 6, LogIn(0), Done)];
    assert!(check(&back).is_ok());
}

#[test]
fn a_refusal_tells_the_story() {
    let refused = check(&[write(1, 2, 7), read(3, 4, 0)]).unwrap_err();
    assert_eq!((refused.fits, refused.of), (1, 2));
    let told = "   1  1: Write(7) -> None at 2\n   -  3: Read -> Some(0) at 4";
    assert_eq!(refused.story, told);
}

/// A history that did happen: each operation takes effect at one moment between its call and its return.
fn happened() -> impl Strategy<Value = Vec<Entry<Setting>>> {
    let operation = (0..40_u64, 0..8_u64, 0..8_u64, any::<bool>(), any::<bool>());
    prop::collection::vec(operation, 0..24).prop_map(|mut operations| {
        operations.sort_by_key(|(moment, ..)| *moment);
        let mut state = 0;
        let mut history = Vec::new();
        for (number, (moment, before, after, reads, lost)) in operations.into_iter().enumerate() {
            // Moments that are equal would hide an order.
            let moment = moment * 1_000 + u64::try_from(number).unwrap();
            let value = u64::try_from(number).unwrap() + 1;
            let operation =
                if reads { SettingOperation::Read } else { SettingOperation::Write(value) };
            let (next, answer) = Setting::run(&state, &operation);
            state = next;
            let returned = (!lost).then_some((moment + after * 1_000, answer));
            let called = moment.saturating_sub(before * 1_000);
            history.push(Entry { called, returned, operation });
        }
        history
    })
}

/// Tries every order: what the search must agree with.
fn by_hand(history: &[Entry<Setting>], state: u64) -> bool {
    let known = history.iter().filter_map(|entry| entry.returned);
    let Some(bound) = known.map(|(at, _)| at).min() else { return true };
    (0..history.len()).any(|index| {
        let entry = &history[index];
        let (next, answer) = Setting::run(&state, &entry.operation);
        let fits = entry.called <= bound
            && entry.returned.as_ref().is_none_or(|(_, returned)| *returned == answer);
        let mut rest = history.to_vec();
        rest.remove(index);
        fits && by_hand(&rest, next)
    })
}

fn anything() -> impl Strategy<Value = Vec<Entry<Setting>>> {
    let entry =
        (0..12_u64, 0..12_u64, 0..3_u64, 0..3_u8).prop_map(|(called, takes, value, kind)| {
            let at = called + takes;
            match kind {
                0 => write(called, at, value),
                1 => unknown(called, SettingOperation::Write(value)),
                _ => read(called, at, value),
            }
        });
    prop::collection::vec(entry, 0..7)
}

proptest! {
    #[test]
    fn what_happened_is_accepted(history in happened()) {
        prop_assert!(check(&history).is_ok());
    }

    #[test]
    fn the_search_agrees_with_trying_every_order(history in anything()) {
        prop_assert_eq!(check(&history).is_ok(), by_hand(&history, 0));
    }
}
