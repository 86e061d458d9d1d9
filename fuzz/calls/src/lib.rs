//! The property of the C ABI: bytes are a sequence of calls with arbitrary arguments in memory that is valid.
//!
//! It is `unsafe` inside, because it calls as C does. Whatever comes, no call says `CKR_GENERAL_ERROR` (a fault of the library's own),
//! none writes beyond the room that it was given, and none says that it wrote more. Without a cluster the calls that need one end at
//! a deadline of a millisecond; `CASEMATE_CONFIG` and `CASEMATE_FUZZ_PIN` give them one, and a log-in.
#![expect(clippy::expect_used, reason = "a property fails by a panic")]

mod at_hand;
mod calls;
mod input;
mod keys;
mod parameters;

use std::path::Path;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use cryptoki_sys as ck;

use calls::Caller;
use input::Input;

/// Calls in one input: more finds nothing that several inputs would not.
const CALLS_MAX: usize = 64;

/// One input at a time: the library belongs to the process.
static TURN: Mutex<()> = Mutex::new(());

fn library() -> &'static ck::CK_FUNCTION_LIST_3_2 {
    static LIST: OnceLock<&'static ck::CK_FUNCTION_LIST_3_2> = OnceLock::new();
    LIST.get_or_init(|| {
        if std::env::var_os("CASEMATE_CONFIG").is_none() {
            let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("unreachable");
            std::env::set_current_dir(place).expect("the configuration lies beside this crate");
        }
        let mut version = ck::CK_VERSION { major: 3, minor: 2 };
        let mut found = ptr::null_mut();
        // SAFETY: NULL for the name is "PKCS 11"; version and place live over the call.
        let code = unsafe {
            casemate_pkcs11::C_GetInterface(ptr::null_mut(), &raw mut version, &raw mut found, 0)
        };
        assert_eq!(code, ck::CKR_OK, "no interface of version 3.2");
        // SAFETY: CKR_OK was said: an interface of static life.
        let interface: &ck::CK_INTERFACE =
            unsafe { found.as_ref() }.expect("it was said to be there");
        // SAFETY: that of version 3.2 has this list, of static life.
        unsafe { interface.pFunctionList.cast::<ck::CK_FUNCTION_LIST_3_2>().as_ref() }
            .expect("an interface has functions")
    })
}

/// Runs one input.
pub fn abi_calls(input: &[u8]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut caller = Caller::begin(library(), Input::new(input));
    for _ in 0..CALLS_MAX {
        if !caller.step() {
            break;
        }
    }
    caller.end();
}
