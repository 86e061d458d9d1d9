//! Use of keys.
