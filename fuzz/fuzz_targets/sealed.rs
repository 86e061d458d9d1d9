//! Fuzzes `casemate_fuzz_properties::sealed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| casemate_fuzz_properties::sealed(input));
