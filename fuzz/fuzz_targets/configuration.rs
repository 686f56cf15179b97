//! The text of a configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hotsocket::fuzzing::configuration(bytes);
});
