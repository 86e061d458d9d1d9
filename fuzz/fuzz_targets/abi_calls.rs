//! Fuzzes `casemate_fuzz_properties::abi_calls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| casemate_fuzz_properties::abi_calls(input));
