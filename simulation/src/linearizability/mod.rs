//! Whether a history of concurrent operations could have happened one after the other.
//!
//! The search of Wing and Gong, with Lowe's memory of what was tried: an operation takes effect at one moment between its call and its
//! return. Take any one that nobody else must precede, see whether the model allows what it returned, go on with the rest; go
//! back when nothing fits. What failed without saying how is *unknown*: it takes effect at any moment after its call, or never.
//! A history is cut by what it is about (an object, a user, a setting), for what is linearizable in each is so as a whole
//! (Herlihy and Wing, 1990, theorem 1), and the search is exponential in what is concurrent.
//!
//! Sources: J. Wing, C. Gong: Testing and Verifying Concurrent Objects (1993); G. Lowe: Testing for Linearizability (2017).

mod checker;
pub mod models;

pub use checker::{Entry, Model, NotLinearizable, check};
