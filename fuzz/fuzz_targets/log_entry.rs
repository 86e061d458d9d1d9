//! Fuzzes `casemate_fuzz_properties::log_entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| casemate_fuzz_properties::log_entry(input));
