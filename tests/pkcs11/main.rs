//! Attacks by way of the API: what Clulow, Tookan and others did to tokens, tried through the C ABI against a real cluster.
//!
//! [`classics`] are the published attacks by name. [`search`] looks for those that nobody published: random sequences of the functions
//! that touch keys, with keys whose values the test knows and the attacker must not come to know.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use casemate_module::{Module, Session};
use casemate_tests::{Build, Cluster, USER_PASSWORD, is_application, program};

mod attacker;
mod classics;
mod search;
mod secrets;

/// Runs `work` in a process of its own that has loaded the module and is logged in.
fn as_application(test: &str, work: impl FnOnce(Module)) {
    if !is_application() {
        let cluster = Cluster::start(Build::Plain).unwrap();
        let status = cluster.application(test).unwrap().status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let module = Module::load(&program(Build::Plain, "libcasemate_pkcs11.so")).unwrap();
    let mut first = module.open().unwrap();
    first.log_in(&format!("app:{USER_PASSWORD}")).unwrap();
    work(module);
    // The log-in lasts as long as a session does.
    drop::<Session>(first);
}
