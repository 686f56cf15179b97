//! A script of `hotsocket test`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hotsocket::fuzzing::script(bytes);
});
