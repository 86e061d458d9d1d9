//! A PKCS#11 module, loaded as applications load it, behind a safe face: what the tests of vectors and of attacks call.
//!
//! It is `unsafe` inside, because it calls C. Nothing here knows Casemate's own types: what is tested is the ABI, by the structures of
//! the standard, so that a fault in our own encoding cannot hide itself. The module is loaded once per process and stays.

mod call;
mod code;
mod module;
mod parameter;
mod session;
mod template;

pub use code::Code;
pub use cryptoki_sys as ck;
pub use module::{LoadError, Module};
pub use parameter::{Mechanism, Parameter};
pub use session::{Handle, Session};
pub use template::Attribute;
