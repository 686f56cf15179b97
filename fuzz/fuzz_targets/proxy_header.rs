//! The beginning of a connection that may be a PROXY header.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hotsocket::fuzzing::proxy_header(bytes);
});
