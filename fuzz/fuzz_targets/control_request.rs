//! What a client of the control socket sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hotsocket::fuzzing::control_request(bytes);
});
